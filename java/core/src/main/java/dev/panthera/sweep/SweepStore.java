package dev.panthera.sweep;

import dev.panthera.UserException;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.EpochReport;
import dev.panthera.train.Evaluation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What is known of a sweep's trials: an SQLite file in its folder, a row for each trial and one for each finished epoch, written as it
 * happens. Several processes may work on one sweep; a trial is taken by one of them, which is heard of while it lives. All methods
 * may be called from any thread.
 */
public final class SweepStore implements AutoCloseable {
    /** After which a process that cannot be asked whether it lives counts as gone if it was not heard of. */
    private static final long LEASE_MILLIS = 60_000;

    private final Statements sql;
    private final @Nullable Owner owner;

    private SweepStore(Path folder, Connection connection, @Nullable Owner owner) {
        sql = new Statements(folder.resolve(StoreFile.NAME), connection);
        this.owner = owner;
    }

    /**
     * Opens a sweep's store to work on its trials; makes folder and store if need be.
     *
     * @throws UserException if it cannot be written, lies on a network disk, or is of another version
     */
    public static SweepStore open(Path folder) {
        try {
            Files.createDirectories(folder);
        } catch (IOException failure) {
            throw new UserException(
                    "%s: the folder cannot be made (%s); choose a place that you may write to"
                            .formatted(folder, failure.getMessage()),
                    failure);
        }
        Connection connection = StoreFile.open(folder);
        try {
            var store = new SweepStore(folder, connection, Owner.self());
            store.heartbeat();
            return store;
        } catch (RuntimeException failure) {
            StoreFile.close(connection, failure);
            throw failure;
        }
    }

    /**
     * Opens a sweep's store to look at it.
     *
     * @throws UserException if there is none, or it is of another version
     */
    public static SweepStore openForReading(Path folder) {
        return new SweepStore(folder, StoreFile.openForReading(folder), null);
    }

    /** Whether a folder holds a sweep. */
    public static boolean exists(Path folder) {
        return Files.isRegularFile(folder.resolve(StoreFile.NAME));
    }

    // -------------------------------------------------------------------------------------------
    // what the sweep is

    /** Notes a fact about the sweep. */
    public void put(String key, String value) {
        sql.transaction(
                () -> sql.execute("INSERT OR REPLACE INTO sweep VALUES (?, ?)", key, value));
    }

    /** Notes a fact about the sweep unless one of that key is known. */
    public void putIfAbsent(String key, String value) {
        sql.transaction(() -> sql.execute("INSERT OR IGNORE INTO sweep VALUES (?, ?)", key, value));
    }

    /** A fact about the sweep. */
    public Optional<String> get(String key) {
        return sql
                .query("SELECT value FROM sweep WHERE key = ?", row -> row.getString(1), key)
                .stream()
                .findFirst();
    }

    /**
     * Makes these the sweep's trials. Those that it had are kept as they are, and others that nobody has begun are dropped, unless
     * another process works on the sweep and may be about to take them.
     */
    public void list(List<Trial> trials) {
        sql.transaction(() -> {
            sql.execute(
                    "CREATE TEMP TABLE IF NOT EXISTS listed (id TEXT PRIMARY KEY, ordinal INTEGER)");
            sql.execute("DELETE FROM listed");
            try (var insert =
                            sql.prepare(
                                    "INSERT INTO trial (id, ordinal, factors, config, status) VALUES (?, ?, ?, ?, 'WAITING')"
                                            + " ON CONFLICT (id) DO UPDATE SET ordinal = excluded.ordinal, factors = excluded.factors");
                    var list = sql.prepare("INSERT INTO listed VALUES (?, ?)")) {
                for (int i = 0; i < trials.size(); i++) {
                    Trial trial = trials.get(i);
                    String factors = ConfigFile.toJsonLine(trial.factors());
                    Statements.bind(
                            insert, trial.id(), i, factors, ConfigFile.toJsonLine(trial.config()));
                    insert.addBatch();
                    Statements.bind(list, trial.id(), i);
                    list.addBatch();
                }
                insert.executeBatch();
                list.executeBatch();
            }
            sql.execute(
                    "DELETE FROM trial WHERE status = 'WAITING' AND attempts = 0 AND id NOT IN (SELECT id FROM listed)"
                            + " AND NOT EXISTS (SELECT 1 FROM owner WHERE id <> ?)",
                    owner().id());
            return null;
        });
    }

    // ---------------------------------------------------------------------------------------------
    // work on trials

    /** The trials that {@link #take} may take; others wait. */
    void select(Collection<String> ids) {
        sql.transaction(() -> {
            sql.execute("CREATE TEMP TABLE IF NOT EXISTS selected (id TEXT PRIMARY KEY)");
            sql.execute("DELETE FROM selected");
            try (var insert = sql.prepare("INSERT INTO selected VALUES (?)")) {
                for (String id : ids) {
                    Statements.bind(insert, id);
                    insert.addBatch();
                }
                insert.executeBatch();
            }
            return null;
        });
    }

    /** Takes the first selected trial that waits, for this process. */
    Optional<String> take() {
        return sql.transaction(() -> {
            try (var statement =
                    sql.prepare(
                            "UPDATE trial SET status = 'RUNNING', owner = ?, attempts = attempts + 1 WHERE id ="
                                    + " (SELECT t.id FROM trial t JOIN selected s ON s.id = t.id WHERE t.status = 'WAITING'"
                                    + " ORDER BY t.ordinal LIMIT 1) RETURNING id")) {
                Statements.bind(statement, owner().id());
                try (var row = statement.executeQuery()) {
                    return row.next() ? Optional.of(row.getString(1)) : Optional.<String>empty();
                }
            }
        });
    }

    /** The selected trials that wait. */
    List<String> waitingIds() {
        return sql.query(
                "SELECT t.id FROM trial t JOIN selected s ON s.id = t.id WHERE t.status = 'WAITING' ORDER BY t.ordinal",
                row -> row.getString(1));
    }

    /** How many selected trials have each status. */
    Map<TrialStatus, Integer> counts() {
        Map<TrialStatus, Integer> counts = new LinkedHashMap<>();
        for (TrialStatus status : TrialStatus.values()) {
            counts.put(status, 0);
        }
        sql.query(
                        "SELECT t.status, count(*) FROM trial t JOIN selected s ON s.id = t.id GROUP BY t.status",
                        row -> Map.entry(TrialStatus.valueOf(row.getString(1)), row.getInt(2)))
                .forEach(entry -> counts.put(entry.getKey(), entry.getValue()));
        return counts;
    }

    /** Says that this process lives, and frees the trials of those that do not. */
    void heartbeat() {
        sql.transaction(() -> {
            var self = owner();
            long now = System.currentTimeMillis();
            sql.execute(
                    "INSERT INTO owner VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat",
                    self.id(),
                    self.place(),
                    self.pid(),
                    self.started(),
                    now);
            for (Map.Entry<Owner, Long> other : owners()) {
                boolean silent = now - other.getValue() > LEASE_MILLIS;
                Owner owner = other.getKey();
                boolean gone = owner.isNear() ? !owner.isAlive() : silent;
                if (gone && !owner.id().equals(self.id())) {
                    release(owner.id());
                }
            }
            return null;
        });
    }

    private List<Map.Entry<Owner, Long>> owners() {
        return sql.query(
                "SELECT id, place, pid, started, heartbeat FROM owner",
                row ->
                        Map.entry(
                                new Owner(
                                        row.getString(1),
                                        row.getString(2),
                                        row.getLong(3),
                                        row.getLong(4)),
                                row.getLong(5)));
    }

    private void release(String ownerId) throws SQLException {
        sql.execute("UPDATE trial SET status = 'WAITING', owner = NULL WHERE owner = ?", ownerId);
        sql.execute("DELETE FROM owner WHERE id = ?", ownerId);
    }

    /** Lets failed trials among the selected ones be taken again. */
    int retryFailed() {
        return sql.transaction(() ->
                sql.execute(
                        "UPDATE trial SET status = 'WAITING', message = NULL, stack = NULL WHERE status = 'FAILED'"
                                + " AND id IN (SELECT id FROM selected)"));
    }

    /** Notes what is known of a trial's model. */
    void started(String id, long parameters, long stateBytes, String device) {
        sql.transaction(() ->
                sql.execute(
                        "UPDATE trial SET parameters = ?, state_bytes = ?, device = ? WHERE id = ?",
                        parameters,
                        stateBytes,
                        device,
                        id));
    }

    /** Notes an epoch; of one that is noted twice, the second counts. */
    void epochEnded(String id, EpochReport report) {
        sql.transaction(() -> {
            writeEpochs(id, List.of(report));
            return null;
        });
    }

    private void writeEpochs(String id, List<EpochReport> reports) throws SQLException {
        try (var statement =
                sql.prepare("INSERT OR REPLACE INTO epoch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
            for (EpochReport report : reports) {
                Evaluation deciding = report.deciding();
                Statements.bind(
                        statement,
                        id,
                        report.epoch(),
                        report.trainLoss(),
                        report.learningRate(),
                        deciding.loss(),
                        deciding.accuracy(),
                        deciding.examples(),
                        ConfigFile.toJsonLine(deciding.slices()),
                        report.tokensPerSecond(),
                        report.seconds());
                statement.addBatch();
            }
            statement.executeBatch();
        }
    }

    /** Notes what a trial came to. Says false, and notes nothing, if it is another process's by now or has ended before. */
    boolean finished(TrialOutcome outcome) {
        return sql.transaction(() -> {
            var test = outcome.test();
            int rows =
                    sql.execute(
                            "UPDATE trial SET status = ?, owner = NULL, accuracy = ?, loss = ?, examples = ?, slices = ?,"
                                    + " seconds = ?, ending = ?, message = ?, stack = ?,"
                                    + " parameters = max(parameters, ?), state_bytes = max(state_bytes, ?),"
                                    + " device = coalesce(?, device) WHERE id = ? AND status = 'RUNNING' AND owner = ?",
                            outcome.status().name(),
                            test == null ? null : test.accuracy(),
                            test == null ? null : test.loss(),
                            test == null ? null : test.examples(),
                            test == null ? null : ConfigFile.toJsonLine(test.slices()),
                            outcome.seconds(),
                            outcome.ending() == null ? null : outcome.ending().name(),
                            outcome.message(),
                            outcome.stack(),
                            outcome.parameters(),
                            outcome.stateBytes(),
                            outcome.device(),
                            outcome.id(),
                            owner().id());
            if (rows == 1) {
                writeEpochs(outcome.id(), outcome.epochs());
            }
            return rows == 1;
        });
    }

    // ------------------------------------------------------------------------------------------------ look at them

    /** All trials, in the sweep's order. */
    public List<StoredTrial> trials() {
        return trials("");
    }

    /** The trials whose identity begins like this. */
    public List<StoredTrial> trialsLike(String idPrefix) {
        return trials(idPrefix);
    }

    private List<StoredTrial> trials(String idPrefix) {
        Map<String, double[]> epochs = new LinkedHashMap<>();
        sql.query(
                "SELECT trial, count(*), avg(tokens_per_second), (SELECT validation_accuracy FROM epoch l WHERE l.trial = e.trial"
                        + " ORDER BY l.epoch DESC LIMIT 1), sum(seconds) FROM epoch e WHERE substr(trial, 1, ?) = ? GROUP BY trial",
                row ->
                        epochs.put(
                                row.getString(1),
                                new double[] {
                                    row.getInt(2),
                                    row.getDouble(3),
                                    row.getDouble(4),
                                    row.getDouble(5)
                                }),
                idPrefix.length(),
                idPrefix);
        return sql.query(
                "SELECT * FROM trial WHERE substr(id, 1, ?) = ? ORDER BY ordinal, id",
                row -> trial(row, epochs.get(row.getString("id"))),
                idPrefix.length(),
                idPrefix);
    }

    private static StoredTrial trial(ResultSet row, double @Nullable [] epochs)
            throws SQLException {
        return new StoredTrial(
                row.getString("id"),
                row.getInt("ordinal"),
                StoredJson.texts(row.getString("factors")),
                row.getString("config"),
                TrialStatus.valueOf(row.getString("status")),
                row.getInt("attempts"),
                epochs == null ? 0 : (int) epochs[0],
                epochs == null ? null : epochs[2],
                test(row),
                row.getLong("parameters"),
                row.getLong("state_bytes"),
                epochs == null ? 0 : epochs[3],
                epochs == null ? 0 : epochs[1],
                row.getString("device"),
                row.getString("message"),
                row.getString("stack"));
    }

    private static @Nullable Evaluation test(ResultSet row) throws SQLException {
        double accuracy = row.getDouble("accuracy");
        if (row.wasNull()) {
            return null;
        }
        return new Evaluation(
                loss(row, "loss"),
                accuracy,
                row.getLong("examples"),
                StoredJson.slices(row.getString("slices")));
    }

    private static double loss(ResultSet row, String column) throws SQLException {
        double loss = row.getDouble(column);
        return row.wasNull() ? Double.NaN : loss;
    }

    /** The finished epochs of a trial. */
    public List<EpochReport> epochs(String id) {
        return sql.query(
                "SELECT * FROM epoch WHERE trial = ? ORDER BY epoch",
                row -> epoch(row, StoredJson.slices(row.getString("slices"))),
                id);
    }

    /** The finished epochs of all trials, without the slices of their evaluations. */
    public Map<String, List<EpochReport>> epochs() {
        Map<String, List<EpochReport>> epochs = new LinkedHashMap<>();
        sql.query(
                "SELECT * FROM epoch ORDER BY trial, epoch",
                row ->
                        epochs.computeIfAbsent(row.getString("trial"), id -> new ArrayList<>())
                                .add(epoch(row, Map.of())));
        return epochs;
    }

    private static EpochReport epoch(ResultSet row, Map<String, Map<Integer, Double>> slices)
            throws SQLException {
        return new EpochReport(
                row.getInt("epoch"),
                loss(row, "train_loss"),
                row.getDouble("learning_rate"),
                new Evaluation(
                        loss(row, "validation_loss"),
                        row.getDouble("validation_accuracy"),
                        row.getLong("examples"),
                        slices),
                row.getDouble("tokens_per_second"),
                row.getDouble("seconds"));
    }

    private Owner owner() {
        if (owner == null) {
            throw new IllegalStateException("the store was opened for reading");
        }
        return owner;
    }

    /** Gives this process's trials back and closes the store. */
    @Override
    public void close() {
        try (sql) {
            if (owner != null) {
                sql.transaction(() -> {
                    release(owner.id());
                    return null;
                });
            }
        }
    }
}
