package sim

// maxReplays bounds the work of Shrink.
const maxReplays = 600

// Shrink looks for the shortest schedule that breaks the same rule: it leaves out ever smaller stretches of steps, and then
// what makes the steps that are left complicated. fails plays a schedule.
func Shrink(steps []Step, rule string, fails func([]Step) *Violation) []Step {
	replays := 0
	still := func(candidate []Step) bool {
		if replays++; replays > maxReplays {
			return false
		}
		v := fails(candidate)
		return v != nil && v.Rule == rule
	}
	steps = leaveOut(steps, max(len(steps)/2, 1), still)
	return leaveOut(simplify(steps, still), 1, still)
}

// leaveOut leaves out stretches of steps that the failure does not need, from the given size down.
func leaveOut(steps []Step, size int, still func([]Step) bool) []Step {
	for {
		shorter := false
		for at := 0; at < len(steps); {
			candidate := append(append([]Step(nil), steps[:at]...), steps[min(at+size, len(steps)):]...)
			if still(candidate) {
				steps, shorter = candidate, true
			} else {
				at += size
			}
		}
		switch {
		case size > 1:
			size = max(size/2, 1)
		case !shorter:
			return steps
		}
	}
}

// simplify takes away faults and detours that the failure does not need.
func simplify(steps []Step, still func([]Step) bool) []Step {
	for i := range steps {
		for _, change := range []func(*Step){
			func(s *Step) { s.Fault, s.Nth = None, 0 },
			func(s *Step) { s.N = 0 },
			func(s *Step) { s.Pick = 0 },
			func(s *Step) {
				if s.Op == Work || s.Op == Net || s.Op == Compare {
					s.How = pass
				}
			},
		} {
			candidate := append([]Step(nil), steps...)
			change(&candidate[i])
			if candidate[i] != steps[i] && still(candidate) {
				steps = candidate
			}
		}
	}
	return steps
}
