package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.io.AtomicFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;

/** A table as a Parquet file, written by DuckDB. */
final class ParquetFile {
    private ParquetFile() {}

    /**
     * @param jsonLines an object a line, all with the same keys
     * @throws UserException if DuckDB is not there, there is no row, or the file cannot be written
     */
    static void write(String jsonLines, Path file) {
        UserException.require(
                !jsonLines.isEmpty(),
                "%s: the sweep has no trials yet, so there are no columns",
                file);
        try {
            Path folder = Files.createTempDirectory("panthera-parquet");
            Path json = folder.resolve("rows.jsonl");
            Path parquet = folder.resolve("rows.parquet");
            try {
                Files.writeString(json, jsonLines);
                convert(json, parquet);
                byte[] bytes = Files.readAllBytes(parquet);
                AtomicFile.write(file, channel -> channel.write(ByteBuffer.wrap(bytes)));
            } finally {
                Files.deleteIfExists(json);
                Files.deleteIfExists(parquet);
                Files.deleteIfExists(folder);
            }
        } catch (IOException | SQLException failure) {
            throw new UserException(
                    "%s: it cannot be written (%s)".formatted(file, failure.getMessage()), failure);
        }
    }

    private static void convert(Path json, Path parquet) throws SQLException {
        try (var connection = connect();
                var statement = connection.createStatement()) {
            statement.execute("SET autoinstall_known_extensions = false");
            statement.execute(
                    "COPY (SELECT * FROM read_json_auto('%s', format = 'newline_delimited', sample_size = -1)) TO '%s' (FORMAT parquet)"
                            .formatted(quoted(json), quoted(parquet)));
        }
    }

    private static Connection connect() throws SQLException {
        try {
            return DriverManager.getConnection("jdbc:duckdb:");
        } catch (SQLException absent) {
            if (absent.getMessage() != null && absent.getMessage().contains("No suitable driver")) {
                throw new UserException(
                        "--format parquet: DuckDB, which writes it, is not on the class path; run ./panthera from a clone, which fetches it, or add org.duckdb:duckdb_jdbc",
                        absent);
            }
            throw absent;
        }
    }

    private static String quoted(Path file) {
        return file.toString().replace("'", "''");
    }
}
