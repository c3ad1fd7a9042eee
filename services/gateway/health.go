package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
)

// healthTimeout bounds the question to one department.
const healthTimeout = 2 * time.Second

type healthDoor struct {
	conns map[access.Department]grpc.ClientConnInterface
}

// live says that this process answers.
func (h *healthDoor) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// ready tells how each department is. The gateway itself stays ready while one of them is down: the others can be
// worked with. With `?require=all` a department that is not serving makes it 503.
func (h *healthDoor) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		states = map[string]string{}
	)
	for d, conn := range h.conns {
		wg.Go(func() {
			state := "UNREACHABLE"
			if reply, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}); err == nil {
				state = reply.GetStatus().String()
			}
			mu.Lock()
			defer mu.Unlock()
			states[string(d)] = state
		})
	}
	wg.Wait()
	status, code := "ok", http.StatusOK
	for _, s := range states {
		if s != healthv1.HealthCheckResponse_SERVING.String() {
			status = "degraded"
			if r.URL.Query().Get("require") == "all" {
				code = http.StatusServiceUnavailable
			}
		}
	}
	writeJSON(w, code, map[string]any{"status": status, "departments": states})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the caller went away; nobody is left to tell
}
