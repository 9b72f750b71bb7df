package dev.panthera.cli;

import dev.panthera.mixer.FeatureMaps;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.Selections;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code panthera mixers}: what models are made of. */
@Command(
        name = "mixers",
        description =
                "Lists the sequence mixers, state mixers, feature maps and selections, with their options and usual values.")
final class MixersCommand implements Runnable {
    private final Streams streams;

    @Option(names = "--json", description = "Prints a JSON object a line.")
    private boolean json;

    MixersCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public void run() {
        var list = KindList.of(streams);
        if (json) {
            list.printJson(Mixers.SEQUENCE, "mixer");
            list.printJson(Mixers.STATE, "state_mixer");
            list.printJson(FeatureMaps.ALL, "feature_map");
            list.printJson(Selections.ALL, "selection");
            return;
        }
        streams.line("--mixer NAME mixes over time; --set model.mixer.OPTION=VALUE:");
        streams.line("");
        list.print(Mixers.SEQUENCE);
        streams.line("");
        streams.line(
                "--state-mixer NAME mixes over channels; --set model.state_mixer.OPTION=VALUE:");
        streams.line("");
        list.print(Mixers.STATE);
        streams.line("");
        streams.line(
                "Feature maps of based; --set model.mixer.feature_map=NAME and feature_map.OPTION=VALUE:");
        streams.line("");
        list.print(FeatureMaps.ALL);
        streams.line("");
        streams.line(
                "Selections of selected-attention; --set model.mixer.selection=NAME and selection.OPTION=VALUE:");
        streams.line("");
        list.print(Selections.ALL);
    }
}
