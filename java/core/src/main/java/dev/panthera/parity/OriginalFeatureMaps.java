package dev.panthera.parity;

import dev.panthera.mixer.AllPoly;
import dev.panthera.mixer.CosFormer;
import dev.panthera.mixer.FeatureMapConfig;
import dev.panthera.mixer.PointwiseMaps;
import dev.panthera.mixer.RandomFeatures;
import dev.panthera.mixer.TaylorExp;
import java.util.Map;
import java.util.function.Function;

/** The original's feature maps and what they are here, by the names of their classes or the short ones that it knows. */
final class OriginalFeatureMaps {

    static final String PACKAGE = "zoology.mixers.feature_maps.";

    private static final Map<String, Function<Options, FeatureMapConfig>> MAPS =
            Map.ofEntries(
                    Map.entry("Identity", options -> new PointwiseMaps.IdentityMap()),
                    Map.entry("PosELU", options -> new PointwiseMaps.PosElu(temperature(options))),
                    Map.entry(
                            "ReLU",
                            options ->
                                    new PointwiseMaps.Relu(temperature(options), epsilon(options))),
                    Map.entry("Square", options -> new PointwiseMaps.Square()),
                    Map.entry("SquaredMap", options -> new PointwiseMaps.SquaredMap()),
                    Map.entry(
                            "FullSpaceMap",
                            options -> new PointwiseMaps.FullSpace(epsilon(options))),
                    Map.entry(
                            "ExpDim",
                            options ->
                                    new PointwiseMaps.ExpDim(
                                            temperature(options), epsilon(options))),
                    Map.entry(
                            "ExpMaxNorm",
                            options ->
                                    new PointwiseMaps.ExpMaxNorm(
                                            temperature(options), epsilon(options))),
                    Map.entry(
                            "SoftmaxDim",
                            options ->
                                    new PointwiseMaps.SoftmaxDim(
                                            temperature(options), epsilon(options))),
                    Map.entry(
                            "SoftmaxDimHalfspace",
                            options ->
                                    new PointwiseMaps.SoftmaxDimHalfspace(
                                            temperature(options), epsilon(options))),
                    Map.entry(
                            "ExpSumNorm",
                            options ->
                                    new PointwiseMaps.ExpSumNorm(
                                            temperature(options), epsilon(options))),
                    Map.entry(
                            "ExpSumNormHalfspace",
                            options -> new PointwiseMaps.ExpSumNormHalfspace(epsilon(options))),
                    Map.entry("TaylorExp", options -> new TaylorExp.Config()),
                    Map.entry("AllPolyMap", OriginalFeatureMaps::allPoly),
                    Map.entry("CosFormerFeatureMap", OriginalFeatureMaps::cosFormer),
                    Map.entry(
                            "PerformerFeatureMap",
                            options ->
                                    new RandomFeatures.Config(
                                            options.integer("expanded_dim", 256))));

    private static final Map<String, String> SHORT_NAMES =
            Map.of(
                    "none", "Identity",
                    "identity", "Identity",
                    "taylor_exp", "TaylorExp",
                    "pos_elu", "PosELU",
                    "all_poly", "AllPolyMap",
                    "cosformer", "CosFormerFeatureMap",
                    "performer", "PerformerFeatureMap");

    private OriginalFeatureMaps() {}

    /**
     * Our options of a feature map.
     *
     * @param name of its class, or a short one
     * @throws UnknownCaseException if there is no such map or option
     */
    static FeatureMapConfig config(String name, Options arguments) {
        String className =
                SHORT_NAMES.getOrDefault(name, name.substring(name.lastIndexOf('.') + 1));
        var translation = MAPS.get(className);
        if (translation == null) {
            throw new UnknownCaseException("feature map " + name);
        }
        if (arguments.integer("head_dim_idx", -1) != -1) {
            throw new UnknownCaseException("features along another dimension than the last");
        }
        arguments.ignoring("input_dim", "temp", "eps"); // which all take and some do not use
        FeatureMapConfig config = translation.apply(arguments);
        arguments.finish();
        return config;
    }

    private static double temperature(Options options) {
        return options.number("temp", 1);
    }

    private static double epsilon(Options options) {
        return options.number("eps", 1e-12);
    }

    /** Initial values do not matter: recorded ones replace them. */
    private static FeatureMapConfig allPoly(Options options) {
        options.ignoring("init", "init_method");
        return new AllPoly.Config(
                options.integer("output_dim", 0), options.flag("learnable", true));
    }

    private static FeatureMapConfig cosFormer(Options options) {
        String function = options.text("act_fun", "relu");
        if (!function.equals("relu")) {
            throw new UnknownCaseException("cosformer with " + function);
        }
        return new CosFormer.Config();
    }
}
