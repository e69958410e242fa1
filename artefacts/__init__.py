"""The ground floor: what several folders share, each contract written once. It stands on nothing else of ours."""
