package jobs_test

import (
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	jobsv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/jobs/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
)

func deadLetters(t *testing.T, j *jobs.Jobs) jobsv1.DeadLetterServiceClient {
	t.Helper()
	server := grpc.NewServer()
	j.RegisterServer(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Stop
	}()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		server.Stop()
		<-served
	})
	return jobsv1.NewDeadLetterServiceClient(conn)
}

// waitForDead reads the dead letters page by page until there are n.
func waitForDead(t *testing.T, c jobsv1.DeadLetterServiceClient, n int) []*jobsv1.DeadLetter {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var all []*jobsv1.DeadLetter
		for token := ""; ; {
			resp, err := c.ListDeadLetters(t.Context(), &jobsv1.ListDeadLettersRequest{PageSize: 1, PageToken: token, Kind: "test.ping"})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, resp.GetDeadLetters()...)
			if token = resp.GetNextPageToken(); token == "" {
				break
			}
		}
		if len(all) == n {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d dead letters instead of %d", len(all), n)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func replay(t *testing.T, c jobsv1.DeadLetterServiceClient, id int64) {
	t.Helper()
	if _, err := c.ReplayDeadLetter(t.Context(), &jobsv1.ReplayDeadLetterRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
}
