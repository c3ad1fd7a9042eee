package workitem

import "github.com/tasuki-project/tasuki/services/internal/platform/party/people"

// People are all tables of inside sales that say something of people.
var People = []people.Table{
	{
		Name: "work_items", Key: []string{"id"}, Person: "person_id", Account: "account_id", Mail: "mail", Journey: "journey_id",
		Subject: "work-item", Facts: []string{"mail"}, Text: []string{"notes", "reason_note"},
		JSON: []string{"person", "offer", "answers"},
	},
	{Name: "work_item_transitions", Key: []string{"work_item_id", "seq"}, Of: "work_items", By: "work_item_id", Text: []string{"note"}},
	{Name: "activities", Key: []string{"id"}, Person: "person_id", Text: []string{"note"}},
}
