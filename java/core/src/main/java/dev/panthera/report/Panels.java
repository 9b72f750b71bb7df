package dev.panthera.report;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/**
 * How the settings of a sweep fall into panels: tasks and widths.
 *
 * @param tasks from short to long
 * @param widths from narrow to wide
 */
record Panels(List<Task> tasks, List<Integer> widths) {

    /**
     * What rows a model was trained on.
     *
     * @param name of the task; empty where length and pairs tell it from the sweep's others
     */
    record Task(int length, int pairs, String name) {
        String label() {
            return name.isEmpty() ? Phrases.sizes(length, pairs) : name;
        }
    }

    static Panels of(Collection<Setting> settings) {
        return new Panels(
                settings.stream()
                        .map(Panels::task)
                        .distinct()
                        .sorted(
                                Comparator.comparing(Task::name)
                                        .thenComparing(Task::length)
                                        .thenComparing(Task::pairs))
                        .toList(),
                settings.stream().map(Setting::dModel).distinct().sorted().toList());
    }

    static Task task(Setting setting) {
        return new Task(setting.length(), setting.pairs(), setting.task());
    }

    List<String> taskLabels() {
        return tasks.stream().map(Task::label).toList();
    }

    /** Rows of a grid of tasks and widths; none if a single task or width lets panels wrap. */
    List<String> gridRows() {
        return isGrid() ? taskLabels() : List.of();
    }

    List<String> gridColumns() {
        if (!isGrid() && widths.size() == 1) {
            return taskLabels();
        }
        return widths.stream().map(Panels::widthLabel).toList();
    }

    String gridRow(Setting setting) {
        return isGrid() ? task(setting).label() : "";
    }

    String gridColumn(Setting setting) {
        return !isGrid() && widths.size() == 1
                ? task(setting).label()
                : widthLabel(setting.dModel());
    }

    private boolean isGrid() {
        return tasks.size() > 1 && widths.size() > 1;
    }

    private static String widthLabel(int width) {
        return "d_model " + width;
    }
}
