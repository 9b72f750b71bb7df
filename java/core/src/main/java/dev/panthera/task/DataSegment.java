package dev.panthera.task;

import dev.panthera.UserException;

/**
 * Rows 0 to examples - 1 of a task.
 *
 * @param task     the task
 * @param examples number of rows, at least 1; changing it changes no row
 */
public record DataSegment(TaskConfig task, int examples) {

    /** @throws UserException if there are no rows */
    public DataSegment {
        UserException.require(
                examples >= 1,
                "%d examples of %s: a segment needs at least one; leave it out instead",
                examples,
                task.name());
    }
}
