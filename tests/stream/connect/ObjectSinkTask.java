package listenlake.sink;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.AbstractConfig;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/**
 * Gathers the records of each partition and puts them as one object when there are enough of them, or when the first
 * has waited long enough. Only what is stored is committed. Both limits count from where the task began, so after a
 * crash the same records go into objects of other bounds: at least once, as a sink with a wall clock delivers.
 */
public final class ObjectSinkTask extends SinkTask {
    private static final Duration PUT_MAX = Duration.ofSeconds(20);
    /** The local S3 looks at no signature, but lets only who gives a name write over an object. */
    private static final String SOMEBODY =
        "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=none";

    private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
    private final JsonConverter json = new JsonConverter();
    private final Map<TopicPartition, Batch> open = new HashMap<>();
    private final Map<TopicPartition, OffsetAndMetadata> stored = new HashMap<>();
    private String bucket;
    private boolean isAiven;
    private int flushSize;
    private long waitMs;
    private String onNull;

    /** Records of one partition that are in no object yet. */
    private static final class Batch {
        final long firstOffset;
        final long openedAt = System.nanoTime();
        final StringBuilder lines = new StringBuilder();
        int records;
        long nextOffset;

        Batch(long firstOffset) {
            this.firstOffset = firstOffset;
        }
    }

    @Override
    public void start(Map<String, String> properties) {
        AbstractConfig config = new AbstractConfig(ObjectSinkConnector.CONFIG, properties);
        bucket = config.getString("bucket.url");
        isAiven = config.getString("layout").equals("aiven");
        flushSize = config.getInt("flush.size");
        waitMs = config.getLong("rotate.schedule.interval.ms");
        onNull = config.getString("behavior.on.null.values");
        json.configure(Map.of("schemas.enable", "false"), false);
    }

    @Override
    public void put(Collection<SinkRecord> records) {
        for (SinkRecord each : records) {
            if (each.value() == null && !onNull.equals("write")) {
                if (onNull.equals("fail")) throw new DataException("no value at offset " + each.kafkaOffset());
                continue;
            }
            TopicPartition partition = new TopicPartition(each.topic(), each.kafkaPartition());
            Batch batch = open.computeIfAbsent(partition, key -> new Batch(each.kafkaOffset()));
            batch.lines.append(lineOf(each)).append('\n');
            batch.nextOffset = each.kafkaOffset() + 1;
            batch.records += 1;
            if (batch.records >= flushSize) store(partition);
        }
        long now = System.nanoTime();
        for (TopicPartition each : open.keySet().toArray(TopicPartition[]::new))
            if (now - open.get(each).openedAt >= waitMs * 1_000_000) store(each);
        // Without it, Connect would only come back with the next record.
        if (!open.isEmpty()) context.timeout(waitMs);
    }

    @Override
    public Map<TopicPartition, OffsetAndMetadata> preCommit(Map<TopicPartition, OffsetAndMetadata> current) {
        return new HashMap<>(stored);
    }

    @Override
    public void close(Collection<TopicPartition> partitions) {
        open.keySet().removeAll(partitions);
        stored.keySet().removeAll(partitions);
    }

    @Override
    public void stop() { }

    @Override
    public String version() {
        return "1";
    }

    /** Confluent's line is the event; Aiven's an envelope around it. */
    private String lineOf(SinkRecord each) {
        Object line = each.value();
        if (isAiven) {
            Map<String, Object> envelope = new LinkedHashMap<>();
            envelope.put("key", each.key());
            envelope.put("value", each.value());
            envelope.put("offset", each.kafkaOffset());
            envelope.put("timestamp", Instant.ofEpochMilli(each.timestamp()).toString());
            line = envelope;
        }
        return new String(json.fromConnectData(each.topic(), null, line), StandardCharsets.UTF_8);
    }

    private String keyOf(TopicPartition at, long firstOffset) {
        return isAiven
            ? "%s-%d-%d.gz".formatted(at.topic(), at.partition(), firstOffset)
            : "topics/%1$s/partition=%2$d/%1$s+%2$d+%3$010d.json".formatted(at.topic(), at.partition(), firstOffset);
    }

    /** Puts the open batch of a partition as one object. A failure stops the task: Connect commits nothing of it. */
    private void store(TopicPartition partition) {
        Batch batch = open.get(partition);
        String key = keyOf(partition, batch.firstOffset);
        HttpRequest request = HttpRequest.newBuilder(URI.create(bucket + "/" + key.replace("+", "%2B")))
            .timeout(PUT_MAX)
            .header("Authorization", SOMEBODY)
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .PUT(BodyPublishers.ofByteArray(bytesOf(batch.lines.toString())))
            .build();
        try {
            HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
            if (answer.statusCode() != 200)
                throw new ConnectException(key + ": " + answer.statusCode() + " " + answer.body());
        } catch (IOException | InterruptedException error) {
            throw new ConnectException(key, error);
        }
        open.remove(partition);
        stored.put(partition, new OffsetAndMetadata(batch.nextOffset));
    }

    private byte[] bytesOf(String lines) {
        byte[] plain = lines.getBytes(StandardCharsets.UTF_8);
        if (!isAiven) return plain;
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (OutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write(plain);
        } catch (IOException error) {
            throw new ConnectException(error);
        }
        return bytes.toByteArray();
    }
}
