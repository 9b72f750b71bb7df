package dev.panthera.task;

import dev.panthera.NamedConfigs;

/** The laws of distances that can be asked for by name, with their usual options. */
public final class GapLaws {
    /** All of them. */
    public static final NamedConfigs<GapLaw> ALL =
            new NamedConfigs<GapLaw>("gap law", GapLaw.class)
                    .with(
                            "power-law",
                            "place s behind the pairs has weight (s+1)^(a-1)",
                            new GapLaw.PowerLaw(GapLaw.PowerLaw.DEFAULT_A))
                    .with(
                            "uniform",
                            "every place behind the pairs is as likely",
                            new GapLaw.Uniform())
                    .with(
                            "geometric",
                            "place s behind the pairs has weight ratio^s",
                            new GapLaw.Geometric(0.9))
                    .with(
                            "fixed",
                            "every query comes the same number of tokens after its key",
                            new GapLaw.Fixed(16));

    private GapLaws() {}
}
