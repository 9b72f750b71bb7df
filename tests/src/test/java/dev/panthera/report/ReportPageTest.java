package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.sweep.TrialStatus;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class ReportPageTest {
    static final String HOSTILE = "<script>alert(\"1\")</script>&'<!--</style>";

    /** A sweep whose every text tries to break out of its place. */
    static SweepSummary hostile() {
        List<ReportTrial> trials = new ArrayList<>();
        for (ReportTrial trial : SampleSweeps.finished().trials()) {
            trials.add(trial.mixer().equals("hyena") ? hostile(trial) : trial);
        }
        return new SweepSummary(
                HOSTILE, HOSTILE, trials, SelectionProtocol.PUBLISHED, Map.of(HOSTILE, HOSTILE));
    }

    private static ReportTrial hostile(ReportTrial trial) {
        Map<String, String> factors = new LinkedHashMap<>(trial.factors());
        factors.put(HOSTILE, trial.dModel() > 64 ? HOSTILE : "plain");
        boolean fails = trial.seed() == 2;
        return new ReportTrial(
                HOSTILE + trial.id(),
                HOSTILE,
                trial.dModel(),
                trial.length(),
                trial.pairs(),
                trial.learningRate(),
                trial.seed(),
                factors,
                fails ? TrialStatus.FAILED : trial.status(),
                trial.parameters(),
                trial.stateBytes(),
                trial.validationAccuracy(),
                trial.testAccuracy(),
                trial.testSlices(),
                trial.epochs(),
                trial.seconds(),
                trial.tokensPerSecond(),
                fails ? HOSTILE : null,
                Json.text(Map.of("note", HOSTILE)));
    }

    @Test
    void textsOfASweepStayTexts() {
        String page = ReportPage.html(hostile());

        assertThat(page).doesNotContain("<script>alert", "<!--</style>");
        assertThat(Pattern.compile("<script\\b").matcher(withoutScripts(page)).results())
                .hasSize(5);
        assertThat(page).contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
    }

    /** The page with the contents of its scripts removed. */
    private static String withoutScripts(String page) {
        return Pattern.compile("(<script[^>]*>).*?(</script>)", Pattern.DOTALL)
                .matcher(page)
                .replaceAll("$1$2");
    }

    @Test
    void thePolicyAdmitsExactlyTheScriptsAndTheStyleOfThePage() {
        String page = ReportPage.html(SampleSweeps.finished());

        List<String> scripts = contents(page, "<script>", "</script>");
        List<String> styles = contents(page, "<style>", "</style>");
        String policy = contents(page, "Security-Policy\" content=\"", "\">").getFirst();
        assertThat(scripts).hasSize(4);
        assertThat(styles).hasSize(1);
        assertThat(policy)
                .isEqualTo(
                        "default-src 'none'; script-src "
                                + String.join(" ", scripts.stream().map(Html::contentHash).toList())
                                + "; style-src "
                                + Html.contentHash(styles.getFirst())
                                + "; img-src data:; base-uri 'none'; form-action 'none'");
    }

    private static List<String> contents(String page, String start, String end) {
        return Pattern.compile(Pattern.quote(start) + "(.*?)" + Pattern.quote(end), Pattern.DOTALL)
                .matcher(page)
                .results()
                .map((MatchResult match) -> match.group(1))
                .toList();
    }

    @Test
    void noVendoredScriptCanEndItsElement() {
        for (String name : List.of("vega", "vega-lite", "vega-embed")) {
            assertThat(Resources.text("vega/" + name + ".min.js"))
                    .as(name)
                    .doesNotContain("</script", "<!--", "\r", "\0");
        }
    }

    @Test
    void thePageSaysWhatTheSweepIsAndHowFarItIs() {
        assertThat(ReportPage.html(SampleSweeps.halfDone()))
                .contains(
                        "<strong>864</strong> trials",
                        "<strong>431</strong> done",
                        "<strong>1</strong> failed",
                        "<strong>4</strong> running",
                        "<strong>428</strong> waiting",
                        "Protocol: validation.",
                        "commit 3a2afc8",
                        "training diverged: the loss is not finite at step 812");
    }

    @Test
    void thePageSaysThatTheTestSplitChose() {
        assertThat(
                        ReportPage.html(
                                SampleSweeps.summary(
                                        SampleSweeps.finished().trials(),
                                        SelectionProtocol.PUBLISHED)))
                .contains("Protocol: published.", "the test split itself chose");
    }

    @Test
    void anEmptySweepHasAPageThatSaysSo() {
        assertThat(ReportPage.html(SampleSweeps.summary(List.of(), SelectionProtocol.VALIDATION)))
                .contains(
                        "The sweep has no trials", "Figures left out", "<strong>0</strong> trials");
    }

    @Test
    void theSameSweepGivesTheSamePage() {
        assertThat(ReportPage.html(SampleSweeps.finished()))
                .isEqualTo(ReportPage.html(SampleSweeps.finished()));
    }

    /** The time is printed for the record, not judged. */
    @Test
    void tenThousandTrialsFitInAPageOfAFewMegabytes() {
        SweepSummary summary = SampleSweeps.large(10_000);

        long start = System.nanoTime();
        String page = ReportPage.html(summary);
        System.out.printf(
                "report page of 10,000 trials: %d ms, %d KiB%n",
                (System.nanoTime() - start) / 1_000_000, page.length() / 1024);

        assertThat(page.length()).isLessThan(8_000_000);
        assertThat(page).contains("<strong>10000</strong> trials");
    }
}
