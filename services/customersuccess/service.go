// Package customersuccess is the department that keeps and grows customers: customers and their recurring revenue,
// handover documents, onboarding, expansions, feedback to the departments before.
package customersuccess

import (
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/csql"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/feedback"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/onboarding"
	"github.com/tasuki-project/tasuki/services/customersuccess/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
)

// Definition is the department, for its own program and for the all-in-one one.
var Definition = department.Definition{Name: access.CustomerSuccess, Migrations: migrations.Set, People: tables, Build: build}

func build(b *department.Base) error {
	customers := customer.NewStore(b.Events, b.Clock)
	plans := onboarding.NewStore(b.Events, b.Clock)
	handovers := customer.NewHandovers(customers, plans, b.Clock)

	b.Handoffs.Register(handoff.KindConfig{
		Kind: handoffv1.Kind_KIND_CLOSED_WON, From: access.FieldSales, To: access.CustomerSuccess,
		OnAccepted: handovers.Accepted, OnBreached: handovers.Breached,
	})
	csqls := csql.NewStore(b.Events)
	hooks := csql.NewHooks(b.DB, b.Clock, csqls, customers, b.Jobs)
	b.Handoffs.Register(hooks.Kind())
	b.Subscribe(hooks.Outcomes())
	pb.RegisterCustomerServiceServer(b.Server, customer.NewServer(b.DB, b.Clock, customers, plans, b.Jobs))
	pb.RegisterCsqlServiceServer(b.Server, csql.NewServer(b.DB, b.Clock, csqls, customers, b.Handoffs))
	pb.RegisterOnboardingServiceServer(b.Server, onboarding.NewServer(b.DB, b.Clock, plans, customers, b.Handoffs))
	pb.RegisterFeedbackServiceServer(b.Server, feedback.NewServer(b.DB, b.Clock, feedback.NewStore(b.Events, b.Clock), customers))
	return nil
}
