package dev.panthera.sweep;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Locale;
import java.util.Set;
import org.sqlite.SQLiteConfig;
import org.sqlite.SQLiteErrorCode;
import org.sqlite.SQLiteException;

/** The SQLite file of a sweep: opens it, and says in a user's words what is wrong with it. */
final class StoreFile {
    /** Name of the file in a sweep's folder. */
    static final String NAME = "sweep.db";

    /** Of the tables; another version is refused. */
    private static final int VERSION = 1;

    /** "Pant", so that tools can tell the file from other databases. */
    private static final int APPLICATION = 0x50616e74;

    private static final int BUSY_MILLIS = 20_000;

    /** File systems of other machines, where SQLite's write-ahead log does not work, since it needs shared memory. */
    private static final Set<String> REMOTE =
            Set.of(
                    "nfs",
                    "nfs4",
                    "cifs",
                    "smb",
                    "smb2",
                    "smb3",
                    "smbfs",
                    "afs",
                    "lustre",
                    "gpfs",
                    "beegfs",
                    "ceph",
                    "9p",
                    "fuse.sshfs",
                    "fuse.glusterfs",
                    "fuse.s3fs",
                    "fuse.rclone");

    /** SQLite keeps NULL instead of a loss that is not a number. */
    private static final String[] TABLES = {
        """
        CREATE TABLE sweep (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
        """,
        """
        CREATE TABLE owner (id TEXT PRIMARY KEY, place TEXT NOT NULL, pid INTEGER NOT NULL, started INTEGER NOT NULL,
            heartbeat INTEGER NOT NULL) WITHOUT ROWID
        """,
        """
        CREATE TABLE trial (id TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, factors TEXT NOT NULL, config TEXT NOT NULL,
            status TEXT NOT NULL, owner TEXT, attempts INTEGER NOT NULL DEFAULT 0, parameters INTEGER NOT NULL DEFAULT 0,
            state_bytes INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0, accuracy REAL, loss REAL, examples INTEGER,
            slices TEXT, device TEXT, ending TEXT, message TEXT, stack TEXT)
        """,
        "CREATE INDEX trial_by_status ON trial (status, ordinal)",
        """
        CREATE TABLE epoch (trial TEXT NOT NULL, epoch INTEGER NOT NULL, train_loss REAL, learning_rate REAL NOT NULL,
            validation_loss REAL, validation_accuracy REAL NOT NULL, examples INTEGER NOT NULL, slices TEXT NOT NULL,
            tokens_per_second REAL NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (trial, epoch)) WITHOUT ROWID
        """
    };

    private StoreFile() {}

    /** Opens the file for writing, and makes it if it is not there. */
    static Connection open(Path folder) {
        refuseRemote(folder, type(folder));
        return open(folder.resolve(NAME), false, StoreFile::prepare);
    }

    /** Opens the file for reading alone, also where nothing can be written. */
    static Connection openForReading(Path folder) {
        Path file = folder.resolve(NAME);
        UserException.require(
                Files.isRegularFile(file),
                "%s: there is no sweep here; name a sweep's folder, for example sweeps/NAME",
                folder);
        return open(file, true, StoreFile::checkVersion);
    }

    @FunctionalInterface
    private interface Check {
        void of(Connection connection, Path file) throws SQLException;
    }

    private static Connection open(Path file, boolean readOnly, Check check) {
        try {
            Connection connection = connect(file, readOnly);
            try {
                check.of(connection, file);
                return connection;
            } catch (SQLException | RuntimeException failure) {
                close(connection, failure);
                throw failure;
            }
        } catch (SQLException failure) {
            throw explain(file, failure, readOnly);
        }
    }

    /** Closes a connection that something else has gone wrong with. */
    static void close(Connection connection, Exception failure) {
        try {
            connection.close();
        } catch (SQLException another) {
            failure.addSuppressed(another);
        }
    }

    /** The file as a URI, so that no character of its path means anything else. */
    private static Connection connect(Path file, boolean readOnly) throws SQLException {
        prepareDriver();
        var config = new SQLiteConfig();
        config.setBusyTimeout(BUSY_MILLIS);
        String url = "jdbc:sqlite:" + file.toAbsolutePath().toUri().toString().replace("///", "/");
        if (readOnly) {
            config.setReadOnly(true);
            boolean nothingPending = !Files.exists(file.resolveSibling(NAME + "-wal"));
            if (nothingPending && !Files.isWritable(file.toAbsolutePath().getParent())) {
                url += "?immutable=1";
            }
        } else {
            config.setSynchronous(SQLiteConfig.SynchronousMode.NORMAL);
        }
        return config.createConnection(url);
    }

    /** The driver unpacks its library; into a folder that only this user can write to. */
    private static synchronized void prepareDriver() {
        if (System.getProperty("org.sqlite.tmpdir") != null) {
            return;
        }
        try {
            Path home = Path.of(System.getProperty("user.home"), ".cache", "panthera");
            Files.createDirectories(home);
            Path folder = home.resolve("sqlite");
            if (!Files.isDirectory(folder)) {
                Files.createDirectory(
                        folder,
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString("rwx------")));
            }
            System.setProperty("org.sqlite.tmpdir", folder.toString());
        } catch (IOException | UnsupportedOperationException noSuchPlace) {
            // The driver's own choice, the system's temporary folder, then has to do.
        }
    }

    /** Another program's database is not changed: the log is chosen when the file is known to be a sweep's. */
    private static void prepare(Connection connection, Path file) throws SQLException {
        try (var statement = connection.createStatement()) {
            if (isEmpty(connection)) {
                statement.executeUpdate("BEGIN IMMEDIATE");
                if (isEmpty(connection)) {
                    for (String table : TABLES) {
                        statement.executeUpdate(table);
                    }
                    statement.executeUpdate("PRAGMA application_id = " + APPLICATION);
                    statement.executeUpdate("PRAGMA user_version = " + VERSION);
                }
                statement.executeUpdate("COMMIT");
            }
            checkVersion(connection, file);
            statement.execute("PRAGMA journal_mode = WAL");
        }
    }

    private static boolean isEmpty(Connection connection) throws SQLException {
        return number(connection, "PRAGMA user_version") == 0
                && number(connection, "PRAGMA application_id") == 0
                && number(connection, "SELECT count(*) FROM sqlite_master") == 0;
    }

    private static void checkVersion(Connection connection, Path file) throws SQLException {
        UserException.require(
                number(connection, "PRAGMA application_id") == APPLICATION,
                "%s: it is another program's database; choose another folder with --out",
                file);
        int version = number(connection, "PRAGMA user_version");
        UserException.require(
                version == VERSION,
                "%s: the store has version %d and this panthera knows version %d; use the panthera that wrote it, or another folder with --out",
                file,
                version,
                VERSION);
    }

    private static int number(Connection connection, String query) throws SQLException {
        try (var statement = connection.createStatement();
                var result = statement.executeQuery(query)) {
            return result.getInt(1);
        }
    }

    private static String type(Path folder) {
        try {
            return Files.getFileStore(folder).type();
        } catch (IOException unknown) {
            return "";
        }
    }

    /** @param type of the folder's file system, as the system names it */
    static void refuseRemote(Path folder, String type) {
        UserException.require(
                !REMOTE.contains(type.toLowerCase(Locale.ROOT)),
                "%s: it lies on a network disk (%s), where the store's log does not work; choose a folder on a local disk with --out",
                folder,
                type);
    }

    /** What went wrong with a store, for its user. */
    static UserException explain(Path file, SQLException failure) {
        return explain(file, failure, false);
    }

    private static UserException explain(Path file, SQLException failure, boolean readOnly) {
        if (failure.getCause() instanceof IllegalCallerException) {
            return new UserException(
                    "%s: this Java forbids SQLite its library; start it with --enable-native-access=org.xerial.sqlitejdbc, or =ALL-UNNAMED if there are no modules"
                            .formatted(file),
                    failure);
        }
        var code =
                failure instanceof SQLiteException known
                        ? known.getResultCode()
                        : SQLiteErrorCode.SQLITE_ERROR;
        String what =
                switch (SQLiteErrorCode.getErrorCode(code.code & 0xff)) {
                    case SQLITE_FULL ->
                            "the disk is full; nothing that was stored is lost; free space and run the sweep again";
                    case SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM ->
                            readOnly
                                    ? "it cannot be read here; copy the whole folder to where you may write, and name that"
                                    : "it cannot be written here; choose a folder that you may write to with --out";
                    case SQLITE_NOTADB, SQLITE_CORRUPT ->
                            "it is no sweep's store or is damaged; restore it, or choose another folder with --out";
                    case SQLITE_BUSY, SQLITE_LOCKED ->
                            "another program holds it; close that program and run the sweep again";
                    case SQLITE_IOERR ->
                            "the disk fails or is full (%s); nothing that was stored is lost; mend that and run the sweep again"
                                    .formatted(failure.getMessage());
                    default -> failure.getMessage();
                };
        return new UserException("%s: %s".formatted(file, what), failure);
    }
}
