package dev.panthera.parity;

import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.StateMixer;
import dev.panthera.nn.Init;
import dev.panthera.nn.Parameterized;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.function.BiFunction;

/** One sequence mixer or state mixer by itself: its output, and the gradients of its input and parameters. */
final class ModuleCase implements ParityCase {

    private static final long SEED = 0;
    private static final String AUXILIARY_LOSS = "aux.aux_loss";

    /** A module with its parameters, and how it is applied. */
    private record Module(Parameterized parameters, BiFunction<Tape, Tensor, Tensor> forward) {}

    @Override
    public void run(Golden golden, Workbench bench, Comparison comparison) {
        Module module = build(golden);
        ParameterStore store = bench.load(module.parameters(), golden, "param.");
        Tensor input = bench.leaf(golden, "input");
        boolean gradients = golden.has("grad_input");
        bench.tape().begin(gradients ? Tape.Mode.TRAINING : Tape.Mode.EVALUATION);
        Tensor output = module.forward().apply(bench.tape(), input);
        comparison.output("output", bench.values(output));
        if (golden.has(AUXILIARY_LOSS)) {
            Tensor loss = bench.tape().withAuxiliaryLosses(bench.tape().constant(0, 1));
            comparison.output(AUXILIARY_LOSS, bench.values(loss));
        }
        if (!gradients) {
            return;
        }
        bench.tape().backward(output, bench.upload(golden.doubles("grad_output")));
        comparison.gradient("grad_input", bench.gradient(input));
        ParameterGradients.compare(golden, bench, store, comparison);
    }

    private static Module build(Golden golden) {
        String className = golden.metadata("module_class").orElseThrow();
        Options arguments = golden.options("ctor_kwargs");
        int[] shape = golden.shape("input");
        int width = arguments.integer("d_model", shape[shape.length - 1]);
        int index = arguments.integer("layer_idx", 0);
        var layer = new Layer(index, index + 1, width, shape[shape.length - 2]);
        var init = new Init(SEED, layer.count());
        var mixer = OriginalModules.sequenceMixer(className, arguments);
        if (mixer.isPresent()) {
            Mixer built = OriginalModules.withDraws(mixer.get().build(layer, init), golden);
            OriginalModules.rejectWrappedTaps(built, layer.length());
            return new Module(OriginalModules.named(className, built), built::forward);
        }
        StateMixer built =
                OriginalModules.stateMixer(className, arguments)
                        .orElseThrow(() -> new UnknownCaseException("class " + className))
                        .build(layer, init);
        return new Module(built, built::forward);
    }
}
