package dev.panthera.parity;

/** Recomputes a kind of recorded case with our code and compares the results. */
@FunctionalInterface
interface ParityCase {

    /**
     * Runs the case and hands every result to {@code comparison}.
     *
     * @throws UnknownCaseException if it needs something that is not there
     * @throws DeviationException if it records behaviour of the original that we do not have on purpose
     */
    void run(Golden golden, Workbench bench, Comparison comparison);
}
