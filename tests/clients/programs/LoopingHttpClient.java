import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Calls with Java's HttpClient, one after the other, until stdin ends; a line for each. */
public class LoopingHttpClient {
    static final String[] KINDS = {"relay", "redirects", "prefer"};
    static volatile boolean isOver;

    public static void main(String[] given) throws Exception {
        System.setProperty("jdk.httpclient.redirects.retrylimit", "20");
        HttpClient client =
            HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NORMAL).build();
        String status = given[0] + "/api/status";
        String create = given[0] + given[2];
        List<HttpRequest> calls = List.of(
            request(status, given[1]).GET().build(),
            request(create + "&wait_result=true&timeout=1", given[1])
                .POST(BodyPublishers.ofString("[]")).build(),
            preferring(create, given[1]).POST(BodyPublishers.ofString("[]")).build());
        List<Thread> threads = new ArrayList<>();
        for (int pause : new int[] {1, 50, 1200}) {
            threads.add(new Thread(() -> loop(client, calls, given, pause)));
        }
        threads.forEach(Thread::start);
        while (System.in.read() >= 0) {}
        isOver = true;
        for (Thread thread : threads) {
            thread.join();
        }
    }

    static HttpRequest.Builder request(String url, String token) {
        return HttpRequest.newBuilder(URI.create(url))
            .header("Authorization", "Bearer " + token)
            .header("Content-Type", "application/json");
    }

    static HttpRequest.Builder preferring(String url, String token) {
        return request(url, token).header("Prefer", "wait=30");
    }

    /** Pauses for up to so many milliseconds before each call. */
    static void loop(HttpClient client, List<HttpRequest> calls, String[] given, int pause) {
        Random random = new Random();
        while (!isOver) {
            int kind = random.nextInt(calls.size());
            String came;
            try {
                Thread.sleep(random.nextInt(pause));
                HttpResponse<Void> response =
                    client.send(calls.get(kind), HttpResponse.BodyHandlers.discarding());
                while (response.statusCode() == 202) {
                    String location = response.headers().firstValue("Location").get();
                    response = client.send(
                        preferring(given[0] + location, given[1]).build(),
                        HttpResponse.BodyHandlers.discarding());
                }
                came = Integer.toString(response.statusCode());
            } catch (Exception failure) {
                came = failure.toString();
            }
            System.out.println(KINDS[kind] + " " + came);
        }
    }
}
