package dev.panthera.sweep;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** SQL on a store's connection, by one thread at a time; failures come as {@link dev.panthera.UserException}. */
final class Statements implements AutoCloseable {
    private final Path file;
    private final Connection connection;

    /** @param file of the store, for messages */
    Statements(Path file, Connection connection) {
        this.file = file;
        this.connection = connection;
    }

    @FunctionalInterface
    interface Work<T> {
        T run() throws SQLException;
    }

    @FunctionalInterface
    interface Row<T> {
        T read(ResultSet row) throws SQLException;
    }

    /**
     * Does work whole or not at all. Begins and ends the transaction itself: the driver's {@code commit} begins the next one at
     * once, which takes the store's lock again and may fail after the work is safe.
     */
    synchronized <T> T transaction(Work<T> work) {
        try (var statement = connection.createStatement()) {
            statement.executeUpdate("BEGIN IMMEDIATE");
            try {
                T result = work.run();
                statement.executeUpdate("COMMIT");
                return result;
            } catch (SQLException | RuntimeException failure) {
                rollBack(statement, failure);
                throw failure;
            }
        } catch (SQLException failure) {
            throw StoreFile.explain(file, failure);
        }
    }

    /** After some failures, such as a full disk, SQLite has rolled back by itself and refuses to do so again. */
    private static void rollBack(Statement statement, Exception cause) {
        try {
            statement.executeUpdate("ROLLBACK");
        } catch (SQLException alreadyDone) {
            cause.addSuppressed(alreadyDone);
        }
    }

    int execute(String sql, @Nullable Object... values) throws SQLException {
        try (var statement = connection.prepareStatement(sql)) {
            bind(statement, values);
            return statement.executeUpdate();
        }
    }

    synchronized <T> List<T> query(String sql, Row<T> row, @Nullable Object... values) {
        try (var statement = connection.prepareStatement(sql)) {
            bind(statement, values);
            List<T> rows = new ArrayList<>();
            try (var result = statement.executeQuery()) {
                while (result.next()) {
                    rows.add(row.read(result));
                }
            }
            return rows;
        } catch (SQLException failure) {
            throw StoreFile.explain(file, failure);
        }
    }

    static void bind(PreparedStatement statement, @Nullable Object... values) throws SQLException {
        for (int i = 0; i < values.length; i++) {
            statement.setObject(i + 1, values[i]);
        }
    }

    /** A statement that is run with many values. */
    PreparedStatement prepare(String sql) throws SQLException {
        return connection.prepareStatement(sql);
    }

    @Override
    public void close() {
        try {
            connection.close();
        } catch (SQLException failure) {
            throw StoreFile.explain(file, failure);
        }
    }
}
