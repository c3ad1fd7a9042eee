// Package insidesales is the service of inside sales: it takes what marketing hands over, talks to the prospects, and hands
// meetings to field sales, or prospects back to marketing.
package insidesales

import (
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	"github.com/tasuki-project/tasuki/services/insidesales/internal/workitem"
	"github.com/tasuki-project/tasuki/services/insidesales/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
)

// Definition is what makes a department inside sales.
var Definition = department.Definition{Name: access.InsideSales, Migrations: migrations.Set, People: workitem.People, Build: build}

func build(b *department.Base) error {
	items := workitem.NewStore(b.Events)
	pb.RegisterWorkItemServiceServer(b.Server, workitem.NewServer(b.DB, b.Clock, items, b.Handoffs))
	hooks := workitem.NewHooks(items, b.Clock)
	b.Handoffs.Register(hooks.MQL())
	b.Handoffs.Register(hooks.Meeting())
	b.Subscribe(hooks.Outcomes())
	return nil
}
