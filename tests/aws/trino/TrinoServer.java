/** Starts a coordinator that works alone; Trino's own launcher is only in the archive that the tests do without. */
public final class TrinoServer {
    private TrinoServer() {}

    public static void main(String[] arguments) {
        Thread watcher = new Thread(TrinoServer::endWithStdin, "end-with-stdin");
        watcher.setDaemon(true);
        watcher.start();
        new io.trino.server.Server().start(arguments[0]);
    }

    /** Whoever started it is gone, or wants it gone. */
    private static void endWithStdin() {
        try {
            while (System.in.read() >= 0) {}
        } catch (java.io.IOException error) {
            // as good as its end
        }
        Runtime.getRuntime().halt(0);
    }
}
