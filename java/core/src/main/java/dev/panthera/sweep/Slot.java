package dev.panthera.sweep;

/**
 * Room for one trial at a time.
 *
 * @param device as {@link dev.panthera.train.DeviceChoice} names it
 * @param threads of the CPU; 0: one per core
 */
public record Slot(String device, int threads) {}
