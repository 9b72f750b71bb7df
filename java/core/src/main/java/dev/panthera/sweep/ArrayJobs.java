package dev.panthera.sweep;

import java.util.List;
import java.util.Optional;
import java.util.Set;

/** A cluster's scheduler of job arrays, in which each element runs one trial. */
interface ArrayJobs {

    /**
     * Submits elements of these indices.
     *
     * @throws dev.panthera.UserException if they are not accepted
     */
    void submit(List<Integer> indices);

    /**
     * The indices of submitted elements that wait or run; empty if the scheduler does not answer at present.
     *
     * @throws dev.panthera.UserException if it has not answered for long
     */
    Optional<Set<Integer>> alive();

    /** Asks all elements to end, those of an earlier process for the same sweep included. */
    void cancel();

    /** Takes all elements for ended: none of them is asked for or cancelled any more. */
    void forget();

    /** Where an element's output is, for a person. */
    String log(int index);
}
