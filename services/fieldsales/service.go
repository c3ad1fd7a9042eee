// Package fieldsales is the field sales department: it closes. It owns accounts, opportunities and contracts, and
// shows what customer success tells of customers.
package fieldsales

import (
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/feedback"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/opportunity"
	"github.com/tasuki-project/tasuki/services/fieldsales/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
)

// Definition is the department, used unchanged by cmd/fieldsales and by the all-in-one program.
var Definition = department.Definition{Name: access.FieldSales, Migrations: migrations.Set, People: opportunity.People, Build: build}

func build(b *department.Base) error {
	accounts := &account.Book{Events: b.Events, Clock: b.Clock}
	deals := &opportunity.Server{
		DB: b.DB, Clock: b.Clock, Events: b.Events, Jobs: b.Jobs, Handoffs: b.Handoffs, Accounts: accounts,
	}
	fieldsalesv1.RegisterAccountServiceServer(b.Server, &account.Server{DB: b.DB, Book: accounts, Summary: feedback.OfAccount})
	fieldsalesv1.RegisterOpportunityServiceServer(b.Server, deals)
	fieldsalesv1.RegisterCustomerFeedbackServiceServer(b.Server, &feedback.Server{DB: b.DB})
	b.Subscribe((&feedback.Follower{Clock: b.Clock, Handoffs: b.Handoffs}).Subscription())
	for _, kind := range deals.Kinds() {
		b.Handoffs.Register(kind)
	}
	jobs.Register(b.Jobs, deals.ResumeDue)
	return nil
}
