package lead

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// BenchmarkCaptureService captures new people, one a transaction, below the RPC: the database waits for the disk as in
// production. 32 goroutines a CPU stand for clients.
func BenchmarkCaptureService(b *testing.B) {
	open := func(b *testing.B, dsn string) *bench {
		b.Helper()
		db, err := store.Open(b.Context(), dsn)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(db.Close)
		return newBench(db)
	}
	for engine, dsn := range map[string]func(testing.TB, ...store.Migrations) string{
		"sqlite": testkit.SQLiteDSN, "postgres": testkit.PostgresDSN,
	} {
		b.Run(engine, func(b *testing.B) {
			desk := open(b, dsn(b, sets()...))
			ctx := desk.ctx(b.Context())
			var n atomic.Int64
			b.SetParallelism(16)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					i := n.Add(1)
					c := hanako("web_visit")
					c.Person.Mail = fmt.Sprintf("p%d@c%d.example", i, i%1000)
					c.Company.Name = fmt.Sprintf("株式会社%d", i%1000)
					if _, err := desk.tryCapture(ctx, c); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "captures/s")
		})
	}
}
