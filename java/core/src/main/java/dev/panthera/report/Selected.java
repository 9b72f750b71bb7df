package dev.panthera.report;

import java.util.List;
import java.util.Optional;

/**
 * A setting with the learning rate that counts for it.
 *
 * @param trials the finished ones of that learning rate, by seed
 * @param validation over the seeds; empty if no trial has one
 * @param test over the seeds; empty if no trial has one
 */
public record Selected(
        Setting setting,
        double learningRate,
        List<ReportTrial> trials,
        Optional<Statistics> validation,
        Optional<Statistics> test) {}
