package projgraph;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** A text classifier in the hands of the device core, libprojgraph.so. May be used by many threads, one at a time. */
public final class Model implements AutoCloseable {
    static {
        System.loadLibrary("projgraph");
    }

    private final List<String> labels;
    private long address;

    /**
     * @param bytes of a .pgb file; they are copied.
     * @throws IllegalArgumentException if they are no model of texts; the message says why.
     */
    public Model(byte[] bytes) {
        address = open0(bytes);
        String[] names = new String[classes0(address)];
        for (int index = 0; index < names.length; index++)
            names[index] = new String(label0(address, index), StandardCharsets.UTF_8);
        labels = Collections.unmodifiableList(Arrays.asList(names));
    }

    /** The names of the classes, in the order of scores. */
    public List<String> labels() {
        return labels;
    }

    /** The label of a text, or null where no score reaches the model's threshold. */
    public synchronized String predict(String text) {
        int index = predict0(opened(), text);
        return index < 0 ? null : labels.get(index);
    }

    /** An integer a class, the same to the bit on every device. */
    public synchronized int[] scores(String text) {
        return scores0(opened(), text);
    }

    @Override
    public synchronized void close() {
        close0(address);
        address = 0;
    }

    private long opened() {
        if (address == 0) throw new IllegalStateException("the model is closed");
        return address;
    }

    private static native long open0(byte[] bytes);

    private static native void close0(long address);

    private static native int classes0(long address);

    private static native byte[] label0(long address, int index);

    private static native int predict0(long address, String text);

    private static native int[] scores0(long address, String text);
}
