package gateway

import (
	"context"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	gatewayv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/gateway/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	jobsv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/jobs/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	"github.com/tasuki-project/tasuki/services/gateway/internal/rest"
)

// registrations are the REST paths of each service. A service with a google.api.http binding that is missing here fails
// TestEveryServiceIsRegistered.
var registrations = map[protoreflect.FullName]rest.Registration{
	"tasuki.marketing.v1.LeadService":              register(marketingv1.RegisterLeadServiceHandlerClient, marketingv1.NewLeadServiceClient),
	"tasuki.marketing.v1.LeadImportService":        register(marketingv1.RegisterLeadImportServiceHandlerClient, marketingv1.NewLeadImportServiceClient),
	"tasuki.marketing.v1.ExclusionService":         register(marketingv1.RegisterExclusionServiceHandlerClient, marketingv1.NewExclusionServiceClient),
	"tasuki.insidesales.v1.WorkItemService":        register(insidesalesv1.RegisterWorkItemServiceHandlerClient, insidesalesv1.NewWorkItemServiceClient),
	"tasuki.fieldsales.v1.AccountService":          register(fieldsalesv1.RegisterAccountServiceHandlerClient, fieldsalesv1.NewAccountServiceClient),
	"tasuki.fieldsales.v1.CustomerFeedbackService": register(fieldsalesv1.RegisterCustomerFeedbackServiceHandlerClient, fieldsalesv1.NewCustomerFeedbackServiceClient),
	"tasuki.fieldsales.v1.OpportunityService":      register(fieldsalesv1.RegisterOpportunityServiceHandlerClient, fieldsalesv1.NewOpportunityServiceClient),
	"tasuki.customersuccess.v1.CustomerService":    register(customersuccessv1.RegisterCustomerServiceHandlerClient, customersuccessv1.NewCustomerServiceClient),
	"tasuki.customersuccess.v1.OnboardingService":  register(customersuccessv1.RegisterOnboardingServiceHandlerClient, customersuccessv1.NewOnboardingServiceClient),
	"tasuki.customersuccess.v1.FeedbackService":    register(customersuccessv1.RegisterFeedbackServiceHandlerClient, customersuccessv1.NewFeedbackServiceClient),
	"tasuki.customersuccess.v1.CsqlService":        register(customersuccessv1.RegisterCsqlServiceHandlerClient, customersuccessv1.NewCsqlServiceClient),
	"tasuki.handoff.v1.HandoffDeskService":         register(handoffv1.RegisterHandoffDeskServiceHandlerClient, handoffv1.NewHandoffDeskServiceClient),
	"tasuki.feed.v1.FeedService":                   register(feedv1.RegisterFeedServiceHandlerClient, feedv1.NewFeedServiceClient),
	"tasuki.feed.v1.SubscriptionService":           register(feedv1.RegisterSubscriptionServiceHandlerClient, feedv1.NewSubscriptionServiceClient),
	"tasuki.marketing.v1.PersonService":            register(marketingv1.RegisterPersonServiceHandlerClient, marketingv1.NewPersonServiceClient),
	"tasuki.party.v1.ContactService":               register(partyv1.RegisterContactServiceHandlerClient, partyv1.NewContactServiceClient),
	"tasuki.gateway.v1.ApiKeyService":              register(gatewayv1.RegisterApiKeyServiceHandlerClient, gatewayv1.NewApiKeyServiceClient),
	"tasuki.jobs.v1.DeadLetterService":             register(jobsv1.RegisterDeadLetterServiceHandlerClient, jobsv1.NewDeadLetterServiceClient),
}

// register binds a generated handler to the generated client of a connection.
func register[C any](handler func(context.Context, *runtime.ServeMux, C) error, client func(grpc.ClientConnInterface) C) rest.Registration {
	return func(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) error {
		return handler(ctx, mux, client(conn))
	}
}
