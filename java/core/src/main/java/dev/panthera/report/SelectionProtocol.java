package dev.panthera.report;

/** Which split chooses the learning rate whose test accuracy a figure shows. */
public enum SelectionProtocol {
    /** The best mean validation accuracy chooses; the test split has no say. */
    VALIDATION(
            "The learning rate was chosen by validation accuracy (mean over seeds); the accuracy shown is that of the"
                    + " test split."),

    /** The best mean test accuracy is shown, as the published figures do; optimistic, since the test split chooses. */
    PUBLISHED(
            "The accuracy shown is the highest test accuracy over the learning rates (mean over seeds), as in the"
                    + " published figures: the test split itself chose, so the figures are optimistic.");

    private final String sentence;

    SelectionProtocol(String sentence) {
        this.sentence = sentence;
    }

    /** For the reader of a figure. */
    public String sentence() {
        return sentence;
    }
}
