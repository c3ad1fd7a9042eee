// Package feedback has what customer success tells of customers, so that sellers see what became of their own and of those
// that are like the one they talk to. It is written by events only.
package feedback

import (
	"slices"
	"strings"
	"time"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
)

// Kind is what a record is about, by the contract's enum.
type Kind = fieldsalesv1.CustomerFeedback_Kind

// The kinds that rules look at.
const (
	handoverQuality = fieldsalesv1.CustomerFeedback_KIND_HANDOVER_QUALITY
	churn           = fieldsalesv1.CustomerFeedback_KIND_CHURN
	comeback        = fieldsalesv1.CustomerFeedback_KIND_RETURN
	flagged         = fieldsalesv1.CustomerFeedback_KIND_FLAGGED
)

// bits are kinds as tables hold them: bit n for value n.
func bits(kinds ...Kind) int64 {
	var all int64
	for _, k := range kinds {
		if k > 0 {
			all |= 1 << k
		}
	}
	return all
}

// Profile is by what customers are alike. What is not known is like nothing.
type Profile struct {
	Industry string
	Size     int64
	Products []string
}

// NewProfile brings what is known of a company into the form in which it is compared.
func NewProfile(industry string, employees int32, products ...string) Profile {
	p := Profile{Industry: key(industry), Size: sizeBand(employees)}
	for _, product := range products {
		if k := key(product); k != "" {
			p.Products = append(p.Products, k)
		}
	}
	slices.Sort(p.Products)
	p.Products = slices.Compact(p.Products)
	return p
}

// none: nothing is known.
func (p Profile) none() bool { return p.Industry == "" && p.Size == 0 && len(p.Products) == 0 }

// key is a text as it is compared: width and case of letters do not matter.
func key(text string) string { return strings.ToLower(party.Fold(text)) }

// bands are the least numbers of employees of the size bands, from band 1 on.
var bands = []int32{1, 10, 50, 100, 300, 1000}

// sizeBand is 0 when the number of employees is not known.
func sizeBand(employees int32) int64 {
	var band int64
	for i, least := range bands {
		if employees >= least {
			band = int64(i + 1)
		}
	}
	return band
}

// Mark is what the summary of an account needs of a record.
type Mark struct {
	CustomerID string
	Kinds      int64
	Rating     int64
	Reason     string
	At         time.Time
}

// Summary is what customer success told last of an account.
type Summary struct {
	CustomerID  string
	Rating      int64
	RatedAt     time.Time
	Handover    float64 // mean score; 0 when none was rated
	ChurnedAt   time.Time
	ChurnReason string
}

// Summarize folds marks in the order in which they came; nil when there are none.
func Summarize(marks []Mark) *Summary {
	if len(marks) == 0 {
		return nil
	}
	s := &Summary{}
	var sum, n float64
	for _, m := range marks {
		s.CustomerID = m.CustomerID
		switch {
		case m.Kinds&bits(churn) != 0:
			s.ChurnedAt, s.ChurnReason = m.At, m.Reason
		case m.Kinds&bits(comeback) != 0:
			s.ChurnedAt, s.ChurnReason = time.Time{}, ""
		case m.Kinds&bits(handoverQuality) != 0:
			sum += float64(m.Rating)
			n++
		case m.Rating > 0 && !m.At.Before(s.RatedAt): // what was said later counts, whenever it came
			s.Rating, s.RatedAt = m.Rating, m.At
		}
	}
	if n > 0 {
		s.Handover = sum / n
	}
	return s
}
