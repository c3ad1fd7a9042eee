package scenario

import (
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// Journey is a lead on its way through all departments. It may rest at every station, and go on when others run the house.
type Journey struct {
	relay       *Relay
	lead        *marketingv1.Lead
	opportunity string
	customer    string
	station     Station
}

// Station is where a journey rests.
type Station int

// The stations, in order.
const (
	StationOffered     Station = iota // marketing has offered the lead
	StationMeeting                    // inside sales has offered a meeting
	StationOpportunity                // field sales has accepted it
	StationWon                        // field sales has won, and hands the customer over
	StationCustomer                   // customer success has accepted it
	StationOnboarded                  // and the lead is a customer in marketing, too
)

// Begin captures a lead, and leaves it there.
func (r *Relay) Begin(name string) *Journey {
	r.t.Helper()
	return &Journey{relay: r, lead: r.Capture(name)}
}

// To goes on to a station.
func (j *Journey) To(station Station) {
	r := j.relay
	r.t.Helper()
	for ; j.station < station; j.station++ {
		switch j.station {
		case StationOffered:
			r.ToMeeting(j.lead)
		case StationMeeting:
			j.opportunity = r.ToOpportunity(j.lead.GetJourneyId())
		case StationOpportunity:
			r.Win(j.opportunity, WinRequest())
		case StationWon:
			_, j.customer = r.TakeOver(j.lead.GetJourneyId())
		case StationCustomer:
			if plan := r.Onboard(j.customer); plan.GetState() != customersuccessv1.OnboardingPlan_STATE_COMPLETED {
				r.t.Fatalf("the plan of %s is %s", j.customer, plan.GetState())
			}
			r.AwaitLead(j.lead.GetId(), marketingv1.Lead_STATE_CUSTOMER)
		case StationOnboarded:
		}
	}
}
