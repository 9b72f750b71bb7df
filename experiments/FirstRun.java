import module dev.panthera;

/** Trains the default model on multi-query associative recall, and prints how well it recalls. */
void main() {
    var config = Presets.named("default");
    var options = new RunOptions(new DeviceChoice("auto", 0), null, false, () -> false);
    var result = Trainer.run(config, options, TrainListener.SILENT);
    IO.println("accuracy " + result.test().accuracy() + " after " + result.epochs() + " epochs");
}
