import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** A call with Java's HttpClient. */
public class ByHttpClient {
    public static void main(String[] given) throws Exception {
        HttpClient.Builder client = HttpClient.newBuilder();
        if (given[0].equals("loop")) {
            System.setProperty("jdk.httpclient.redirects.retrylimit", "20");
            client.followRedirects(HttpClient.Redirect.NORMAL);
        }
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(given[1]))
            .header("Authorization", "Bearer " + given[2])
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("[]"));
        if (given[0].equals("prefer")) {
            request.header("Prefer", "wait=30");
        }
        HttpResponse<String> response =
            client.build().send(request.build(), HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode() + " " + response.body());
    }
}
