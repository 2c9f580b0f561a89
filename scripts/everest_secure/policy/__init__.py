"""What must hold: catalogue, profiles, waivers and evidence from conf/policy."""
