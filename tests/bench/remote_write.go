// A sender and a receiver of remote write for scripts/bench, fast enough to measure what is between them.
//
//	remote_write sink ADDRESS      answer each request at once; GET /: the received requests and bytes
//	remote_write load FLAGS        send the bodies of a folder, in turn, over several connections;
//	                               without a folder: send GET requests
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("sink ADDRESS, or load FLAGS")
	}
	if os.Args[1] == "sink" {
		log.Fatal(sink(os.Args[2]))
	}
	if err := load(os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

// sink reads each POST request to its end and answers 204; to GET it answers with its counts.
func sink(address string) error {
	var requests, size atomic.Int64
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			fmt.Fprintf(w, "{\"requests\": %d, \"bytes\": %d}\n", requests.Load(), size.Load())
			return
		}
		read, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		requests.Add(1)
		size.Add(read)
		w.WriteHeader(http.StatusNoContent)
	}))
}

// outcome is the result of one connection.
type outcome struct {
	latencies []time.Duration
	statuses  map[string]int
}

// load sends until its time is over, at a rate or as fast as it can, and prints the results as JSON.
func load(arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	url := flags.String("url", "", "where to")
	folder := flags.String("bodies", "", "the folder of the bodies; none: GET")
	connections := flags.Int("connections", 4, "how many at a time")
	rate := flags.Float64("rate", 0, "requests a second; 0: as many as possible")
	lasting := flags.Duration("for", time.Second, "how long")
	flags.Parse(arguments)
	bodies, err := read(*folder)
	if err != nil {
		return err
	}
	begin := time.Now()
	found := make([]outcome, *connections)
	var next atomic.Int64
	var senders sync.WaitGroup
	for n := range found {
		senders.Add(1)
		go func() {
			defer senders.Done()
			found[n] = send(*url, bodies, begin, *lasting, *rate, &next)
		}()
	}
	senders.Wait()
	return report(found, time.Since(begin))
}

func read(folder string) ([][]byte, error) {
	if folder == "" {
		return [][]byte{nil}, nil
	}
	names, err := filepath.Glob(filepath.Join(folder, "*.snappy"))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no *.snappy in %s", folder)
	}
	bodies := make([][]byte, 0, len(names))
	for _, name := range names {
		content, problem := os.ReadFile(name)
		if problem != nil {
			return nil, problem
		}
		bodies = append(bodies, content)
	}
	return bodies, err
}

// send uses one kept connection. With a rate, request n is due n/rate seconds after the beginning.
func send(url string, bodies [][]byte, begin time.Time, lasting time.Duration, rate float64, next *atomic.Int64) outcome {
	client := http.Client{Transport: &http.Transport{MaxIdleConns: 1, Dial: net.Dial}}
	found := outcome{statuses: map[string]int{}}
	for {
		n := next.Add(1) - 1
		if rate > 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))))
		}
		if time.Since(begin) >= lasting {
			return found
		}
		started := time.Now()
		status := ask(&client, url, bodies[n%int64(len(bodies))])
		found.latencies = append(found.latencies, time.Since(started))
		found.statuses[status]++
	}
}

// ask sends a body by POST, or a GET request without one.
func ask(client *http.Client, url string, body []byte) string {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("User-Agent", "Prometheus/benchmark")
	if body != nil {
		request.Header.Set("Content-Encoding", "snappy")
		request.Header.Set("Content-Type", "application/x-protobuf")
		request.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	}
	answer, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return fmt.Sprint(answer.StatusCode)
}

func report(found []outcome, lasted time.Duration) error {
	var latencies []time.Duration
	statuses := map[string]int{}
	for _, each := range found {
		latencies = append(latencies, each.latencies...)
		for status, count := range each.statuses {
			statuses[status] += count
		}
	}
	if len(latencies) == 0 {
		return fmt.Errorf("no request was sent")
	}
	sort.Slice(latencies, func(a, b int) bool { return latencies[a] < latencies[b] })
	at := func(share float64) float64 {
		return latencies[int(share*float64(len(latencies)-1))].Seconds() * 1000
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"requests": len(latencies), "seconds": lasted.Seconds(), "statuses": statuses,
		"p50": at(0.5), "p99": at(0.99), "most": at(1),
	})
}
