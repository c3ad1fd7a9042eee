package person

import "github.com/tasuki-project/tasuki/services/internal/platform/party/people"

// Tables are all tables of marketing that say something of people.
var Tables = []people.Table{
	{
		Name: "people", Key: []string{"id"}, Person: "id", Stays: true, Facts: []string{"full_name", "mail", "phone"},
		Blank: []string{"family", "given", "family_kana", "given_kana", "title"}, Null: []string{"consents"}, Unique: "match_key",
	},
	{
		Name: "leads", Key: []string{"id"}, Person: "person_id", Journey: "journey_id", Subject: "lead",
		Text: []string{"notes"}, JSON: []string{"exclusion", "customer_signals", "referral"},
	},
	{
		Name: "lead_touches", Key: []string{"lead_id", "seq"}, Of: "leads", By: "lead_id",
		Null: []string{"submission_id"}, Text: []string{"campaign", "action", "source"},
	},
	{
		Name: "lead_customer_signals", Key: []string{"lead_id", "seq"}, Of: "leads", By: "lead_id",
		Text: []string{"note"},
	},
	{Name: "lead_transitions", Key: []string{"lead_id", "seq"}, Of: "leads", By: "lead_id", Text: []string{"note"}},
	{
		Name: "lead_import_rows", Key: []string{"import_id", "row_no"}, Of: "leads", By: "lead_id",
		Null: []string{"problems", "warnings"},
	},
	{
		Name: "consent_records", Key: []string{"id"}, Person: "person_id", Stays: true,
		Blank: []string{"address", "evidence"}, Text: []string{"source"},
	},
	{Name: "erasures", Key: []string{"id"}, Person: "person_id", Stays: true, Text: []string{"reason"}},
}
