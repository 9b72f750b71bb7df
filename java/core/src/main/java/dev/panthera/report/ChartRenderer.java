package dev.panthera.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.graalvm.polyglot.Context;
import org.graalvm.polyglot.PolyglotException;
import org.graalvm.polyglot.Source;
import org.graalvm.polyglot.Value;
import org.graalvm.polyglot.proxy.ProxyExecutable;

/**
 * Draws Vega-Lite specifications as SVG without a browser: the same Vega that a page runs, in GraalJS. The scripts get
 * no access to files, network, threads or Java.
 *
 * <p>Widths of texts come from a fixed table ({@code text-width.js}), so that the same specification gives the same SVG
 * on every machine, with or without fonts. Loading Vega takes seconds (a plain JDK interprets it), so one renderer
 * serves all charts of a report. For one thread.
 */
public final class ChartRenderer implements AutoCloseable {

    /**
     * A drawn chart.
     *
     * @param warnings what Vega-Lite or Vega found amiss in the specification
     */
    public record Drawing(String svg, List<String> warnings) {
        public Drawing {
            warnings = List.copyOf(warnings);
        }
    }

    /** What Truffle does if it cannot load a library that only its compiler needs; by default it prints a warning. */
    private static final String WITHOUT_LIBRARY = "polyglotimpl.AttachLibraryFailureAction";

    private final Context context;
    private final Value draw;

    /** Loads Vega and Vega-Lite. */
    public ChartRenderer() {
        if (System.getProperty(WITHOUT_LIBRARY) == null) {
            System.setProperty(WITHOUT_LIBRARY, "ignore");
        }
        context =
                Context.newBuilder("js")
                        // On a JDK without the Graal compiler JavaScript is interpreted, which is
                        // meant so.
                        .option("engine.WarnInterpreterOnly", "false")
                        .build();
        run("host.js");
        run("vega/vega.min.js");
        run("vega/vega-lite.min.js");
        run("text-width.js");
        draw = run("draw.js");
    }

    private Value run(String resource) {
        return context.eval(
                Source.newBuilder("js", Resources.text(resource), resource).buildLiteral());
    }

    /**
     * The chart of a Vega-Lite specification (JSON) as SVG; the same text for the same specification, whatever was
     * drawn before.
     *
     * @throws IllegalArgumentException if Vega cannot draw it
     */
    public Drawing draw(String specification) {
        String description = Json.tree(specification).path("description").asString("");
        var drawn = new ArrayList<Drawing>();
        var failures = new ArrayList<String>();
        ProxyExecutable accept =
                values -> {
                    List<String> warnings = new ArrayList<>();
                    for (long index = 0; index < values[1].getArraySize(); index++) {
                        warnings.add(values[1].getArrayElement(index).asString());
                    }
                    String svg = named(values[0].asString(), description);
                    return drawn.add(new Drawing(svg, warnings));
                };
        ProxyExecutable refuse = values -> failures.add(values[0].asString());
        try {
            draw.execute(specification, accept, refuse);
        } catch (PolyglotException failure) {
            throw new IllegalArgumentException(
                    "Vega cannot draw a chart: " + failure.getMessage(), failure);
        }
        return Optional.ofNullable(drawn.isEmpty() ? null : drawn.getFirst())
                .orElseThrow(() ->
                        new IllegalArgumentException("Vega cannot draw a chart: " + failures));
    }

    /** With the chart's description as the picture's name for readers who do not see it. */
    private static String named(String svg, String description) {
        return description.isEmpty()
                ? svg
                : "<svg role=\"img\" aria-label=\""
                        + Html.escape(description)
                        + "\""
                        + svg.substring("<svg".length());
    }

    @Override
    public void close() {
        context.close();
    }
}
