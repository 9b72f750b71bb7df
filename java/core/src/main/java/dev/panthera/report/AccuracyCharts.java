package dev.panthera.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Test accuracy of the selected settings, against width and against state. */
final class AccuracyCharts {
    private static final String MQAR = "mqar";

    private AccuracyCharts() {}

    /** The panels of the published Figure 2. */
    static Chart byWidth(ChartInput input) {
        String name = "recall-by-width";
        String title = "Recall against model width";
        List<Selected> tested = input.shown(input.tested());
        if (tested.isEmpty()) {
            return Chart.leftOut(name, title, why(input));
        }
        var panels = Panels.of(tested.stream().map(Selected::setting).toList());
        List<Mark> marks = new ArrayList<>();
        for (Selected selected : tested) {
            Setting setting = selected.setting();
            marks.add(
                    Mark.measured(
                            "",
                            Panels.task(setting).label(),
                            input.line(setting),
                            setting.dModel(),
                            selected.test().orElseThrow(),
                            Phrases.chosen(selected)));
        }
        String alternative =
                "Line chart of test accuracy against d_model, a panel per task and a line per mixer. "
                        + Summaries.atTheRight(marks, "d_model");
        List<Mark> overlay = publishedByWidth(input, panels, tested);
        marks.addAll(overlay);
        var chart =
                new LineChart(
                        alternative,
                        List.of(),
                        panels.taskLabels(),
                        Axis.powersOfTwo("d_model", marks.stream().map(Mark::x).toList()),
                        Axis.accuracy("test accuracy"),
                        legend(input, !overlay.isEmpty()),
                        marks,
                        LineChart.Spread.BARS);
        String caption =
                "How wide a model each mixer needs to recall: test accuracy against d_model (binary logarithm), a panel"
                        + " per length and number of pairs."
                        + input.whichSettings()
                        + Phrases.bars(input.selection().hasSeveralSeeds())
                        + overlayCaption(overlay, Published.widthSource());
        return Chart.drawn(name, title, caption, alternative, chart.specification(), List.of());
    }

    private static List<Mark> publishedByWidth(
            ChartInput input, Panels panels, List<Selected> tested) {
        double narrowest = panels.widths().getFirst();
        double widest = panels.widths().getLast();
        List<Mark> marks = new ArrayList<>();
        for (Panels.Task task : panels.tasks()) {
            for (var curve :
                    Published.againstWidth(mixers(tested, task), task.length(), task.pairs())) {
                for (double[] point : curve.points()) {
                    if (point[0] >= narrowest && point[0] <= widest) {
                        marks.add(overlay(input, task, curve.mixer(), point));
                    }
                }
            }
        }
        return marks;
    }

    /** The recall-memory frontier. */
    static Chart byState(ChartInput input) {
        String name = "recall-by-state";
        String title = "Recall against state";
        List<Selected> tested =
                input.tested().stream().filter(selected -> stateBytes(selected) > 0).toList();
        if (tested.isEmpty()) {
            String reason =
                    input.tested().isEmpty()
                            ? why(input)
                            : "Left out: no finished trial keeps a state, or says how large it is.";
            return Chart.leftOut(name, title, reason);
        }
        var panels = Panels.of(tested.stream().map(Selected::setting).toList());
        List<Mark> marks = new ArrayList<>();
        for (Selected selected : bestPerState(input, tested)) {
            Setting setting = selected.setting();
            marks.add(
                    Mark.measured(
                            "",
                            Panels.task(setting).label(),
                            input.palette().mixer(setting.mixer()),
                            stateBytes(selected),
                            selected.test().orElseThrow(),
                            "d_model " + setting.dModel() + ", " + Phrases.chosen(selected)));
        }
        String alternative =
                "Line chart of test accuracy against the bytes of state per row, a panel per task and a line "
                        + "per mixer. "
                        + Summaries.atTheRight(marks, "state bytes");
        List<Mark> overlay = publishedByState(input, panels, tested);
        marks.addAll(overlay);
        var chart =
                new LineChart(
                        alternative,
                        List.of(),
                        panels.taskLabels(),
                        Axis.bytes(
                                "state per row, as published",
                                marks.stream().map(Mark::x).toList()),
                        Axis.accuracy("test accuracy"),
                        input.palette().mixers(),
                        marks,
                        LineChart.Spread.BARS);
        String caption =
                "How much state each mixer needs to recall: test accuracy against the bytes of state per row, counted as"
                        + " published (binary logarithm); of settings of a mixer with equal state the best one."
                        + Phrases.bars(input.selection().hasSeveralSeeds())
                        + overlayCaption(overlay, Published.stateSource());
        List<String> notes = new ArrayList<>(List.of());
        noteStateless(input, notes);
        return Chart.drawn(name, title, caption, alternative, chart.specification(), notes);
    }

    private static void noteStateless(ChartInput input, List<String> notes) {
        List<String> stateless =
                input.tested().stream()
                        .filter(selected -> stateBytes(selected) <= 0)
                        .map(selected -> selected.setting().mixer())
                        .distinct()
                        .toList();
        if (!stateless.isEmpty()) {
            notes.add(
                    "Not shown, since no size of state is known: " + Phrases.list(stateless) + ".");
        }
    }

    private static long stateBytes(Selected selected) {
        return selected.trials().getFirst().stateBytes();
    }

    private static List<Selected> bestPerState(ChartInput input, List<Selected> tested) {
        record Key(String mixer, Panels.Task task, long bytes) {}
        return input.bestOfEach(
                tested,
                selected ->
                        new Key(
                                selected.setting().mixer(),
                                Panels.task(selected.setting()),
                                stateBytes(selected)));
    }

    private static List<Mark> publishedByState(
            ChartInput input, Panels panels, List<Selected> tested) {
        List<Mark> marks = new ArrayList<>();
        for (Panels.Task task : panels.tasks()) {
            for (var curve :
                    Published.againstState(
                            mixers(tested, task),
                            task.length(),
                            task.pairs(),
                            testedPairs(tested, task))) {
                curve.points()
                        .forEach(point -> marks.add(overlay(input, task, curve.mixer(), point)));
            }
        }
        return marks;
    }

    private static Set<Integer> testedPairs(List<Selected> tested, Panels.Task task) {
        return tested.stream()
                .filter(selected -> Panels.task(selected.setting()).equals(task))
                .flatMap(selected -> selected.trials().stream())
                .flatMap(trial ->
                        trial
                                .testSlices()
                                .getOrDefault(ReportTrial.BY_PAIRS, new TreeMap<>())
                                .keySet()
                                .stream())
                .collect(Collectors.toSet());
    }

    /** Those that were trained on the task; none if it is another than the published curves are of. */
    private static Set<String> mixers(List<Selected> tested, Panels.Task task) {
        return tested.stream()
                .filter(selected -> Panels.task(selected.setting()).equals(task))
                .filter(selected -> selected.trials().stream().allMatch(AccuracyCharts::isMqar))
                .map(selected -> selected.setting().mixer())
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private static boolean isMqar(ReportTrial trial) {
        return Json.tree(trial.configJson())
                .at("/data/train")
                .valueStream()
                .map(segment -> segment.path("task").path("name").asString(MQAR))
                .allMatch(MQAR::equals);
    }

    private static Mark overlay(ChartInput input, Panels.Task task, String mixer, double[] point) {
        return Mark.published(task.label(), input.palette().mixer(mixer), point[0], point[1]);
    }

    /** With an overlay a mixer's own look is needed, even where its lines have looks of their own. */
    private static List<Series> legend(ChartInput input, boolean overlay) {
        List<Series> legend = new ArrayList<>(input.lines());
        if (overlay) {
            for (Series mixer : input.palette().mixers()) {
                if (legend.stream().noneMatch(line -> line.label().equals(mixer.label()))) {
                    legend.add(mixer);
                }
            }
        }
        return legend;
    }

    private static String overlayCaption(List<Mark> overlay, String source) {
        return overlay.isEmpty()
                ? ""
                : " Faint dashed lines with open symbols are published values in the mixer's colour: "
                        + source
                        + ".";
    }

    private static String why(ChartInput input) {
        String nothing = input.whyNothing();
        return nothing.isEmpty()
                ? "Left out: no finished trial has the accuracies that it needs."
                : nothing;
    }
}
