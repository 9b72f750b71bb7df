package dev.panthera.cli;

/** The release, as the jar states it. */
final class Version {
    private Version() {}

    /** What {@code panthera --version} prints. */
    static String line() {
        return "panthera " + number();
    }

    static String number() {
        String version = Version.class.getPackage().getImplementationVersion();
        return version == null ? "(not packaged)" : version;
    }
}
