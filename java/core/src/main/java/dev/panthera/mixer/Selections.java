package dev.panthera.mixer;

import dev.panthera.NamedConfigs;

/** The selections of {@link SelectedAttention} that can be asked for by name, with their usual options. */
public final class Selections {

    /** All of them. */
    public static final NamedConfigs<SelectionConfig> ALL =
            new NamedConfigs<SelectionConfig>("selection", SelectionConfig.class)
                    .with(
                            "learned",
                            "positions that a trained linear score puts first",
                            new LearnedSelection.Config())
                    .with(
                            "programmatic",
                            "positions whose token was there before, rare ones first",
                            new ProgrammaticSelection.Config(true))
                    .with(
                            "random",
                            "any positions: what the others must be better than",
                            new RandomSelection.Config())
                    .with("full", "all positions, as attention does", new FullSelection.Config());

    private Selections() {}
}
