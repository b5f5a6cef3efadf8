import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import projgraph.Model;

/** java Predict MODEL.pgb: a text a line in, its label, a tab and its scores a line out. To try the library anywhere. */
public final class Predict {
    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        try (Model model = new Model(Files.readAllBytes(Paths.get(arguments[0])))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                String label = model.predict(line);
                StringBuilder scores = new StringBuilder();
                for (int score : model.scores(line)) scores.append(scores.length() > 0 ? "," : "").append(score);
                out.print((label == null ? "" : label) + "\t" + scores + "\n");
            }
        }
        out.flush();
    }
}
