package activity

import "testing"

func TestTouchesAndReaches(t *testing.T) {
	for _, c := range []struct {
		name             string
		a                Activity
		touches, reaches bool
	}{
		{"call without an answer", Activity{Kind: Call, Direction: Outbound, Result: NoAnswer}, true, false},
		{"call that connects", Activity{Kind: Call, Direction: Outbound, Result: Connected}, true, true},
		{"mail sent", Activity{Kind: Email, Direction: Outbound, Result: Sent}, true, false},
		{"mail without a result", Activity{Kind: Email, Direction: Outbound}, true, false},
		{"reply", Activity{Kind: Email, Direction: Inbound, Result: Replied}, false, true},
		{"they call us", Activity{Kind: Call, Direction: Inbound, Result: Connected}, false, true},
		{"they call us and hang up", Activity{Kind: Call, Direction: Inbound, Result: NoAnswer}, false, false},
		{"form", Activity{Kind: FormSubmission, Direction: Outbound, Result: Sent}, true, false},
		{"form bounced", Activity{Kind: FormSubmission, Direction: Outbound, Result: Bounced}, true, false},
		{"web meeting", Activity{Kind: WebMeeting, Direction: Outbound}, true, true},
		{"web meeting to which nobody came", Activity{Kind: WebMeeting, Direction: Outbound, Result: NoAnswer}, true, false},
		{"note", Activity{Kind: Note}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.a.Touches() != c.touches || c.a.Reaches() != c.reaches {
				t.Errorf("Touches %t, Reaches %t; want %t, %t", c.a.Touches(), c.a.Reaches(), c.touches, c.reaches)
			}
		})
	}
}
