package customersuccess

import "github.com/tasuki-project/tasuki/services/internal/platform/party/people"

// tables are all tables of customer success that say something of people, or have an account. What is written about a
// customer may speak of its people, so it hangs on the contacts.
var tables = []people.Table{
	{
		Name: "customer_contacts", Key: []string{"customer_id", "role", "contact_key"}, Person: "person_id", Mail: "contact_key",
		Subject: "customer", JSON: []string{"person"}, Unique: "contact_key", Collides: true,
	},
	{
		Name: "customers", Key: []string{"id"}, Person: "person_id", Account: "account_id", Journey: "journey_id", Subject: "customer",
		JSON: []string{"override_why"},
	},
	{
		Name: "handover_documents", Key: []string{"handoff_id"}, Of: "customer_contacts", By: "customer_id", Journey: "journey_id",
		JSON: []string{"document", "gaps"},
	},
	{
		Name: "customer_transitions", Key: []string{"customer_id", "seq"}, Of: "customer_contacts", By: "customer_id",
		Text: []string{"note"},
	},
	{
		Name: "customer_flags", Key: []string{"customer_id", "handoff_id", "attempt", "reason"}, Of: "customer_contacts",
		By: "customer_id", Text: []string{"note"},
	},
	{
		Name: "customer_subscriptions", Key: []string{"id"}, Of: "customer_contacts", By: "customer_id",
		Text: []string{"special_terms", "cancel_note"},
	},
	{
		Name: "csqls", Key: []string{"id"}, Of: "customer_contacts", By: "customer_id", Account: "account_id", Journey: "journey_id",
		Subject: "csql", Text: []string{"note"}, JSON: []string{"company", "evidence"},
	},
	{Name: "csql_transitions", Key: []string{"csql_id", "seq"}, Of: "csqls", By: "csql_id", Text: []string{"note"}},
	{
		Name: "feedback_records", Key: []string{"id"}, Of: "customer_contacts", By: "customer_id", Subject: "feedback",
		JSON: []string{"record"},
	},
	{Name: "onboarding_plans", Key: []string{"id"}, Of: "customer_contacts", By: "customer_id", Subject: "onboarding-plan"},
	{Name: "onboarding_milestones", Key: []string{"plan_id", "code"}, Of: "onboarding_plans", By: "plan_id", Text: []string{"note"}},
	{
		Name: "onboarding_plan_transitions", Key: []string{"plan_id", "seq"}, Of: "onboarding_plans", By: "plan_id",
		Text: []string{"note"},
	},
}
