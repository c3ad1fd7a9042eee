package handoff

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

// The tables store enums as their short text.

func stateOf(s handoffv1.State) State {
	if s == handoffv1.State_STATE_UNSPECIFIED {
		return None
	}
	return State(strings.TrimPrefix(s.String(), "STATE_"))
}

func (s State) proto() handoffv1.State {
	return handoffv1.State(handoffv1.State_value["STATE_"+string(s)])
}

func kindName(k handoffv1.Kind) string { return strings.TrimPrefix(k.String(), "KIND_") }

func kindNamed(name string) handoffv1.Kind {
	return handoffv1.Kind(handoffv1.Kind_value["KIND_"+name])
}

func deliveryName(d handoffv1.Delivery) string {
	if d == handoffv1.Delivery_DELIVERY_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(d.String(), "DELIVERY_")
}

func deliveryNamed(name string) handoffv1.Delivery {
	return handoffv1.Delivery(handoffv1.Delivery_value["DELIVERY_"+name])
}

func actionNamed(name string) handoffv1.Reason_Action {
	return handoffv1.Reason_Action(handoffv1.Reason_Action_value["ACTION_"+name])
}

// nullTime is a timestamp as an argument; NULL when it is not set.
func nullTime(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}
