package dev.panthera.parity;

import dev.panthera.mixer.FeatureMap;
import dev.panthera.mixer.TaylorExp;
import dev.panthera.nn.Init;
import dev.panthera.tensor.ParameterStore;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;

/** One feature map by itself, recorded with heads in front of positions. */
final class FeatureMapCase implements ParityCase {

    private static final long SEED = 0;

    @Override
    public void run(Golden golden, Workbench bench, Comparison comparison) {
        int[] shape = golden.shape("input");
        int rows = shape[0] * shape[1];
        int length = shape[2];
        FeatureMap map = build(golden, shape[3]);
        ParameterStore store = bench.load(map, golden, "param.");
        Tensor input = bench.leaf(golden, "input");
        bench.tape().begin(Tape.Mode.TRAINING);
        Tensor x = ReshapeOperation.apply(bench.tape(), input, rows, length, 1, shape[3]);
        Tensor output = map.apply(bench.tape(), x, new FeatureMap.Span(0, length));
        comparison.output("output", bench.values(output));
        bench.tape().backward(output, bench.upload(golden.doubles("grad_output")));
        comparison.gradient("grad_input", bench.gradient(input));
        ParameterGradients.compare(golden, bench, store, comparison);
    }

    /** The original's series has both forms; which one was recorded its size tells. */
    private static FeatureMap build(Golden golden, int width) {
        String className = golden.metadata("module_class").orElseThrow();
        FeatureMap map =
                OriginalFeatureMaps.config(className, golden.options("ctor_kwargs"))
                        .build(width, new Init(SEED, 1));
        return map instanceof TaylorExp
                ? new TaylorExp(width, golden.shape("output")[3] == map.size())
                : map;
    }
}
