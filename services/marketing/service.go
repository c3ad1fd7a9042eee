// Package marketing is the department that finds and warms: people, leads, imports, screening, scoring, and the handoff of
// marketing qualified leads to inside sales.
package marketing

import (
	"embed"
	"io/fs"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/marketing/internal/exclusion"
	"github.com/tasuki-project/tasuki/services/marketing/internal/lead"
	"github.com/tasuki-project/tasuki/services/marketing/internal/leadimport"
	"github.com/tasuki-project/tasuki/services/marketing/internal/person"
	"github.com/tasuki-project/tasuki/services/marketing/internal/scoring"
)

//go:embed migrations
var files embed.FS

// Definition is what makes a department marketing.
var Definition = department.Definition{Name: access.Marketing, Migrations: Migrations(), People: person.Tables, Build: build}

// Migrations make the department's own tables.
func Migrations() store.Migrations {
	sub, err := fs.Sub(files, "migrations")
	if err != nil { // the folder is embedded above
		panic(err)
	}
	return store.Migrations{Name: "marketing", FS: sub}
}

func build(b *department.Base) error {
	desk := &lead.Desk{
		DB: b.DB, Clock: b.Clock, Events: b.Events, Jobs: b.Jobs, Model: scoring.Standard, Handoffs: b.Handoffs, AutoOffer: true,
		People: b.People,
	}
	desk.Register()
	importer := &leadimport.Importer{DB: b.DB, Clock: b.Clock, Events: b.Events, Jobs: b.Jobs, Desk: desk}
	importer.Register()

	pb.RegisterLeadServiceServer(b.Server, lead.NewServer(desk))
	pb.RegisterLeadImportServiceServer(b.Server, leadimport.NewServer(importer))
	pb.RegisterExclusionServiceServer(b.Server, &exclusion.Server{DB: b.DB, Clock: b.Clock, Events: b.Events})

	b.People.Own = person.Consents
	persons := &person.Server{DB: b.DB, Clock: b.Clock, Events: b.Events, People: b.People, Leads: desk}
	for _, d := range []access.Department{access.InsideSales, access.FieldSales, access.CustomerSuccess} {
		if _, ok := b.Peer(d); !ok {
			continue // who is not connected is not waited for
		}
		persons.Departments = append(persons.Departments, d.String())
		b.Subscribe(event.Subscription{
			Name: "marketing.people.from." + d.String(), Source: d.String(), Types: person.Answers, Handler: persons.Heard,
		})
	}
	pb.RegisterPersonServiceServer(b.Server, persons)

	b.Handoffs.Register(handoff.KindConfig{
		Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales,
		BeforeHooks: desk.BeforeHooks, OnDecision: desk.OnDecision, OnResubmitted: desk.OnResubmitted,
	})
	b.Subscribe(event.Subscription{
		Name: "marketing.leads.from.inside-sales", Source: string(access.InsideSales), Types: lead.InsideSalesEvents, Handler: desk.Follow,
	})
	b.Subscribe(event.Subscription{
		Name: "marketing.leads.from.field-sales", Source: string(access.FieldSales), Types: lead.FieldSalesEvents, Handler: desk.Follow,
	})
	b.Subscribe(event.Subscription{
		Name: "marketing.leads.from.customer-success", Source: string(access.CustomerSuccess), Types: lead.CustomerSuccessEvents,
		Handler: desk.FollowCustomers,
	})
	return nil
}
