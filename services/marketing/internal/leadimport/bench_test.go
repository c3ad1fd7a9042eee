package leadimport

import (
	"fmt"
	"strings"
	"testing"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// BenchmarkImport imports a file of 20,000 people of 2,000 companies, of whom every twentieth asked for a demo. The
// database waits for the disk as in production.
func BenchmarkImport(b *testing.B) {
	const n = 20_000
	var file strings.Builder
	file.WriteString("会社名,氏名,氏名カナ,メールアドレス,電話番号,部署,役職,従業員数,業種,流入経路,備考\n")
	for i := range n {
		source := "展示会"
		if i%20 == 0 {
			source = "デモ依頼"
		}
		fmt.Fprintf(&file, "株式会社%d,佐藤　%d,サトウ ハナコ,p%d@c%d.example,03-%04d-%04d,営業部,課長,%d名,製造,%s,来月に再度連絡\n",
			i%2000, i, i, i%2000, 1000+i%8000, i%9999, i%3000, source)
	}
	for engine, dsn := range map[string]func(testing.TB, ...store.Migrations) string{
		"sqlite": testkit.SQLiteDSN, "postgres": testkit.PostgresDSN,
	} {
		b.Run(engine, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				db, err := store.Open(b.Context(), dsn(b, sets()...))
				if err != nil {
					b.Fatal(err)
				}
				im := newBench(db)
				i := im.upload(b, file.String(), false)
				b.StartTimer()
				if err := im.run(b.Context(), i.GetId()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if got := im.get(b, i.GetId()); got.GetState() != pb.LeadImport_STATE_DONE || got.GetCreatedCount() != n {
					b.Fatalf("%v", got)
				}
				db.Close()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.N)*n/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
