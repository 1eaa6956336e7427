// A call with Go's net/http.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	mode, url, token := os.Args[1], os.Args[2], os.Args[3]
	client := &http.Client{}
	if mode == "loop" {
		client.CheckRedirect = func(_ *http.Request, via []*http.Request) error {
			if len(via) > 20 {
				return http.ErrUseLastResponse
			}
			return nil
		}
	}
	request, err := http.NewRequest("POST", url, strings.NewReader("[]"))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	if mode == "prefer" {
		request.Header.Set("Prefer", "wait=30")
	}
	response, err := client.Do(request)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(response.Body)
	fmt.Println(response.StatusCode, string(body))
}
