package opportunity

import "github.com/tasuki-project/tasuki/services/internal/platform/party/people"

// People are all tables of field sales that say something of people, or have an account.
var People = []people.Table{
	{
		Name: "opportunities", Key: []string{"id"}, Person: "person_id", Account: "account_id", Journey: "journey_id",
		Subject: "opportunity", Text: []string{"name", "expansion_room", "proposal_room", "next_action", "loss_note"},
		JSON: []string{"contact", "brief"},
	},
	{
		Name: "opportunity_transitions", Key: []string{"opportunity_id", "seq"}, Of: "opportunities", By: "opportunity_id",
		Text: []string{"note"},
	},
	{
		Name: "contracts", Key: []string{"id"}, Account: "account_id", Of: "opportunities", By: "opportunity_id",
		Text: []string{"special_terms"},
	},
	{
		Name: "customer_feedback", Key: []string{"id"}, Account: "account_id", Of: "opportunities", By: "account_id",
		OfColumn: "account_id", JSON: []string{"record"},
	},
	{Name: "account_aliases", Key: []string{"id"}, Account: "account_id"},
}
