package dev.panthera.spark;

import dev.panthera.UserException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.List;

/** Addresses of a standalone cluster's masters. */
final class Masters {
    private static final String SCHEME = "spark://";
    private static final int LIMIT_MILLIS = 5000;

    private Masters() {}

    /**
     * Asks whether anybody listens there, since Spark itself tries for a minute and then writes a page about it. Other kinds
     * of masters are left to Spark.
     *
     * @throws UserException if none does
     */
    static void requireReachable(String master) {
        if (!master.startsWith(SCHEME)) {
            return;
        }
        List<String> addresses = List.of(master.substring(SCHEME.length()).split(","));
        UserException.require(
                addresses.stream().allMatch(address -> address.matches("[^/\\s]+:\\d{1,5}")),
                "--master %s: it must be spark://HOST:PORT, as the master's log and web page show it",
                master);
        UserException.require(
                addresses.stream().anyMatch(Masters::listens),
                "--master %s: nobody answers there; start a master (sbin/start-master.sh) or give its address, port 7077 by default",
                master);
    }

    private static boolean listens(String address) {
        int colon = address.lastIndexOf(':');
        int port = Integer.parseInt(address.substring(colon + 1));
        String host = plain(address.substring(0, colon));
        try (var socket = new Socket()) {
            socket.connect(new InetSocketAddress(host, port), LIMIT_MILLIS);
            return true;
        } catch (IOException | IllegalArgumentException absent) {
            return false;
        }
    }

    /** Without the brackets of an IPv6 address. */
    private static String plain(String host) {
        return host.replaceAll("^\\[(.*)]$", "$1");
    }
}
