package dev.panthera.mixer;

import dev.panthera.kernels.Activation;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/**
 * The second of two probabilities, from logits z over a trained temperature: {@code f[t] = softmax(z[t] / temperature)[1]}. The score
 * is the difference of the logits over the temperature, whose sigmoid is the gate.
 */
record PairSoftmax(@StateName("selection_proj") Linear logits, Tensor temperature)
        implements Selection {
    @Override
    public Tensor scores(Tape tape, Tensor x) {
        Tensor both = logits.apply(tape, x);
        Tensor against = SliceOperation.apply(tape, both, 2, 0, 1);
        return SliceOperation.apply(tape, both, 2, 1, 1).minus(against).dividedBy(temperature);
    }

    @Override
    public Tensor gate(Tape tape, Tensor scores) {
        return FeatureOps.activate(tape, Activation.SIGMOID, scores);
    }

    @Override
    public Tensor ranks(Tape tape, Tensor scores) {
        return Ranks.rounded(tape, scores);
    }

    @Override
    public boolean choosesInTraining() {
        return false;
    }
}
