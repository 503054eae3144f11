package listenlake.sink;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.Importance;
import org.apache.kafka.common.config.ConfigDef.Type;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;

/** Objects in S3, laid out and named as the sinks of Confluent or of Aiven lay them out. Its tasks do the work. */
public final class ObjectSinkConnector extends SinkConnector {
    static final ConfigDef CONFIG = new ConfigDef()
        .define("bucket.url", Type.STRING, Importance.HIGH, "Endpoint and bucket: http://host:port/bucket")
        .define("layout", Type.STRING, ConfigDef.NO_DEFAULT_VALUE, ConfigDef.ValidString.in("confluent", "aiven"),
            Importance.HIGH, "Names and lines of objects")
        .define("flush.size", Type.INT, Importance.HIGH, "Records of a full object")
        .define("rotate.schedule.interval.ms", Type.LONG, Importance.HIGH, "An object waits so long for more records")
        .define("behavior.on.null.values", Type.STRING, "fail", ConfigDef.ValidString.in("fail", "ignore", "write"),
            Importance.LOW, "What becomes of a record without a value");

    private Map<String, String> properties;

    @Override
    public void start(Map<String, String> given) {
        properties = given;
    }

    @Override
    public Class<? extends Task> taskClass() {
        return ObjectSinkTask.class;
    }

    @Override
    public List<Map<String, String>> taskConfigs(int tasks) {
        return Collections.nCopies(tasks, properties);
    }

    @Override
    public void stop() { }

    @Override
    public ConfigDef config() {
        return CONFIG;
    }

    @Override
    public String version() {
        return "1";
    }
}
