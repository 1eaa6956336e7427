import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;

/** A call with Java's HttpURLConnection. */
public class ByHttpUrlConnection {
    public static void main(String[] given) throws Exception {
        String token = "Bearer " + given[2];
        HttpURLConnection call = (HttpURLConnection) new URL(given[1]).openConnection();
        call.setRequestProperty("Authorization", token);
        call.setRequestProperty("Content-Type", "application/json");
        if (given[0].equals("prefer")) {
            call.setRequestProperty("Prefer", "wait=30");
        }
        if (given[0].equals("loop")) {
            call.setInstanceFollowRedirects(false);
        }
        call.setDoOutput(true);
        call.getOutputStream().write("[]".getBytes());
        while (given[0].equals("loop") && call.getResponseCode() == 303) {
            URL next = new URL(call.getURL(), call.getHeaderField("Location"));
            call = (HttpURLConnection) next.openConnection();
            call.setRequestProperty("Authorization", token);
            call.setInstanceFollowRedirects(false);
        }
        InputStream body =
            call.getResponseCode() < 400 ? call.getInputStream() : call.getErrorStream();
        System.out.println(call.getResponseCode() + " " + new String(body.readAllBytes()));
    }
}
